"""Faults to plant in the samples that sellers copy: one edit each, and the codes that it must raise, no other."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract_rows import detects
from tests.engine.twin_fixtures import SAMPLES


@dataclass(frozen=True, slots=True)
class Fault:
    """In the file ``path`` of ``sample``, ``old`` becomes ``new``. ``warns`` and ``fails``: what alone is told.

    ``row``: the known failure that it is (tests/contract_rows.py), told by its first code. 0: none.
    """

    name: str
    sample: str
    path: str
    old: str
    new: str
    fails: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    row: int = 0

    @property
    def told(self) -> set[tuple[str, str]]:
        return {(code, "fail") for code in self.fails} | {(code, "warn") for code in self.warns}

    @property
    def first(self) -> str:
        return (*self.fails, *self.warns)[0]

    def plant(self, place: Path) -> Path:
        """A copy of the sample with the fault, in a folder whose name is of this fault alone."""
        folder = place / f"{self.sample}-{self.name}"
        shutil.copytree(SAMPLES / self.sample, folder)
        file = folder / self.path
        text = file.read_text()
        assert text.count(self.old) == 1, f"{self.sample}/{self.path} has changed: plant the fault elsewhere"
        file.write_text(text.replace(self.old, self.new))
        return folder


_SERVE, _TREES = "churn-predictor", "decision-trees"
_APP = "app = Flask(__name__)\n"

SERVING = (
    Fault("loopback", _SERVE, "serve", "0.0.0.0:8080", "127.0.0.1:8080", fails=("TEST-SERVE-LOOPBACK",), row=8),
    Fault(
        "ping-500", _SERVE, "predictor.py", "return Response(status=200)", "return Response(status=500)",
        fails=("TEST-SERVE-PING",), row=8,
    ),
    Fault(
        "no-model", _SERVE, "predictor.py", "model/model.json", "model/weights.json", fails=("TEST-SERVE-EXITED",)
    ),
    Fault("wrong-answer", _SERVE, "predictor.py", "numpy.exp(-(", "numpy.exp((", fails=("TEST-REQUEST",)),
    Fault(
        "answer-type", _SERVE, "predictor.py", 'for chance in chances), content_type=answer)',
        'for chance in chances), content_type="text/html")', warns=("TEST-ACCEPT",), row=25,
    ),
    Fault(
        "bad-body", _SERVE, "predictor.py", '    try:\n        text = request.get_data().decode("utf-8")\n',
        '    text = request.get_data().decode("utf-8")\n    try:\n', warns=("TEST-BAD-BODY",),
    ),
    Fault(
        "empty-body", _SERVE, "predictor.py", 'raise ValueError("no rows were sent")', "return rows",
        warns=("TEST-EMPTY-BODY",),
    ),
    Fault(
        "charset", _SERVE, "predictor.py", "sent = request.mimetype", 'sent = request.headers.get("Content-Type", "")',
        warns=("TEST-CHARSET",), row=25,
    ),
    Fault(
        "small-limit", _SERVE, "predictor.py", _APP, f'{_APP}app.config["MAX_CONTENT_LENGTH"] = 1 << 20\n',
        fails=("TEST-LARGE-BODY",), row=11,
    ),
    Fault(
        "model-write", _SERVE, "predictor.py", _APP,
        f'{_APP}try:\n    Path("/opt/ml/model/cache").touch()\n'
        "except OSError as error:\n    print(error, flush=True)\n",
        warns=("TEST-MODEL-WRITE",), row=14,
    ),
    Fault(
        "batch", _SERVE, "predictor.py", _APP,
        f'{_APP}if "SAGEMAKER_BATCH" in os.environ:\n    raise SystemExit("not made for batches")\n',
        fails=("TEST-BATCH-START",), row=9,
    ),
    Fault(
        "calls", _SERVE, "predictor.py", _APP,
        f'{_APP}try:\n    __import__("socket").create_connection(("telemetry.example", 443), 2)\n'
        "except OSError as error:\n    print(error, flush=True)\n",
        warns=("TEST-EGRESS",), row=16,
    ),
    Fault(  # the call is the cause, the end what comes of it: both are told
        "calls-and-breaks", _SERVE, "predictor.py", _APP,
        f'{_APP}__import__("socket").create_connection(("licence.example", 443), 2)\n',
        fails=("TEST-EGRESS", "TEST-SERVE-EXITED"), row=16,
    ),
    Fault(
        "ignores-sigterm", _SERVE, "serve", 'os.execvp("gunicorn", [',
        '__import__("subprocess").call([', warns=("TEST-SERVE-STOP",), row=26,
    ),
)  # fmt: skip

TRAINING = (
    Fault("exit-1", _TREES, "train", 'print("model written")', "sys.exit(1)", fails=("TEST-TRAIN-EXIT",), row=27),
    Fault(
        "no-model", _TREES, "train", 'joblib.dump(tree, ROOT / "model/model.joblib")',
        'joblib.dump(tree, "/tmp/model.joblib")', fails=("TEST-TRAIN-MODEL",),
    ),
    Fault(
        "not-executable", _TREES, "Dockerfile", "RUN chmod 0755 /usr/local/bin/train",
        "RUN chmod 0644 /usr/local/bin/train && chmod 0755", fails=("TEST-NO-PROGRAM",), row=5,
    ),
    Fault(
        "metric", _TREES, "train", 'print(f"train_error={', 'print(f"error in training: {',
        warns=("TEST-TRAIN-METRICS",), row=24,
    ),
    Fault(
        "any-value", _TREES, "train",
        'raise ValueError(f"{name} must be from {least} to {most}, not {value}")',
        "return min(max(value, least), most)", warns=("TEST-VALUES-ACCEPTED",), row=27,
    ),
    Fault(
        "tuning", _TREES, "train", "    # Names that this algorithm does not know are left alone:",
        '    if given.keys() - {"max_depth", "min_samples_leaf", "criterion"}:\n'
        '        raise ValueError("an unknown hyperparameter")\n    #', fails=("TEST-TRAIN-TUNING",),
    ),
)  # fmt: skip


def cases(faults: tuple[Fault, ...]) -> list[object]:
    """Parameters for pytest, each with the mark of the known failure that it is."""
    return [
        pytest.param(fault, id=fault.name, marks=[detects(fault.row, fault.first)] if fault.row else [])
        for fault in faults
    ]
