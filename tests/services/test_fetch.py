"""The fetch step on real storage: what it establishes, and every way in which it refuses."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import threading
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from listings import blobs
from listings.models import Kind, Upload, UploadPurpose, Version
from listings.problems import ProblemError, fill, get
from listings.reports import CheckOutcome, StepReport
from listings.services import listings as listing_service
from listings.services import versions
from listings.spec import VersionSpec, from_data, parse
from listings.starters import starter_file, starter_zip
from tests.contract_rows import detects
from tests.unit.archive_fixtures import tar
from tests.unit.spec_fixtures import ALGORITHM, MODEL_PACKAGE, data_of
from workers.sources.reading import extract_tree, read_file
from workers.steps import fetch
from workers.steps.contract import StepContext, StepStopped, Stop, StopReason

pytestmark = pytest.mark.django_db

SAMPLES = Path(__file__).parents[2] / "samples"
TREE = (("Dockerfile", b"FROM scratch\n"), ("sample/train/rows.csv", b"1,2\n"), ("sample/request.csv", b"1\n"),
        ("sample/expected.csv", b"2\n"))  # fmt: skip
MODEL = tar(("model.json", b"{}"))


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str, stream: str = "out") -> int:
        assert stream == "slipway"
        self.lines.append(text)
        return len(self.lines)

    section = line

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)


@pytest.fixture
def fetched(seller: Any, team: Any, tmp_path: Path) -> Any:
    """Call with a source and what else the version has; returns the step's report and its log."""

    def store(purpose: str, name: str, content: bytes) -> Upload:
        return versions.store_upload(seller, team, purpose, name, BytesIO(content), len(content))

    def run(
        source: bytes,
        kind: str = Kind.ALGORITHM,
        artifact: bytes | None = None,
        spec: dict[str, Any] | None = None,
        stop: Stop | None = None,
    ) -> tuple[StepReport, Lines]:
        listing = listing_service.create_listing(seller, team, kind=kind, name=f"Listing {threading.get_ident()}")
        made = versions.create_version(
            seller, listing, number="1.0.0", spec=spec, source=store(UploadPurpose.SOURCE, "source.bin", source),
            artifact=store(UploadPurpose.ARTIFACT, "model.tar.gz", artifact) if artifact else None,
        )  # fmt: skip
        log = Lines()
        log.section = lambda title: log.line(title, "slipway")  # type: ignore[method-assign]
        version = Version.objects.get(pk=made.pk)
        context = StepContext(
            attempt=SimpleNamespace(pk=made.pk), version=version, run=None, release=None, facts={}, log=log,
            stop=stop or Stop(), workdir=tmp_path,
        )  # type: ignore[arg-type]  # fmt: skip
        try:
            return fetch.execute(context), log
        finally:
            assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".scratch")] == []

    return run


def refused(fetched: Any, *args: Any, **more: Any) -> tuple[str, str]:
    """The code with which fetch refuses, and its sentence."""
    try:
        report, _ = fetched(*args, **more)
    except ProblemError as error:
        problem = error.report
    else:
        assert report.problem is not None
        problem = report.problem
    return problem.code, fill(get(problem.code).cause, problem.params)


def test_an_algorithm_becomes_an_archive_and_a_spec(fetched):
    report, log = fetched(tar(*TREE, ("slipway.yaml", ALGORITHM.encode())))
    facts = report.facts
    assert report.problem is None
    assert VersionSpec.stored(facts["spec"]) == parse(ALGORITHM)
    assert (facts["files"], facts["artifact_sha256"], facts["artifact_bytes"], facts["commit"]) == (5, None, None, None)
    with blobs.open_blob(facts["archive_sha256"]) as stored:
        content = stored.read()
    assert len(content) == facts["archive_bytes"]
    assert read_file(io.BytesIO(content), "./sample/request.csv", 100) == b"1\n"
    found = {name: (body.read(), size) for name, body, size in extract_tree(io.BytesIO(content), "sample/train/")}
    assert found == {"rows.csv": (b"1,2\n", 4)}
    assert [name for name, _, _ in extract_tree(io.BytesIO(content), "sample/request.csv")] == ["request.csv"]
    assert len(list(extract_tree(io.BytesIO(content), "."))) == 5
    assert list(extract_tree(io.BytesIO(content), "sample/t")) == []
    assert read_file(io.BytesIO(content), "sample", 100) is None
    assert "slipway.yaml is valid." in log


def test_texts_that_publication_needs_only_warn(fetched):
    report, _ = fetched(tar(*TREE, ("slipway.yaml", ALGORITHM.encode())))
    checks = {check.code: check for check in report.checks}
    assert checks["SPEC-PUBLICATION"].outcome is CheckOutcome.WARN
    assert len(checks["SPEC-PUBLICATION"].evidence) > 10
    assert checks["SPEC-INVALID"].outcome is CheckOutcome.PASS


def test_a_form_filled_spec_needs_no_file_and_comes_before_one(fetched):
    spec = from_data(data_of(ALGORITHM)).as_json()
    report, _ = fetched(tar(*TREE, ("slipway.yaml", b"not: used")), spec=spec)
    assert report.problem is None
    assert VersionSpec.stored(report.facts["spec"]) == parse(ALGORITHM)


def test_a_form_filled_spec_is_checked_again(fetched):
    spec = from_data(data_of(ALGORITHM)).as_json()
    spec["training"]["SupportedTrainingInstanceTypes"] = ["ml.gone.large"]
    assert refused(fetched, tar(*TREE), spec=spec)[0] == "SPEC-CHOICE"


def test_a_missing_spec_names_what_is_there(fetched):
    code, text = refused(fetched, tar(*TREE, ("slipway.yml", b"")))
    assert code == "SOURCE-NO-SPEC"
    assert "slipway.yml" in text


def test_every_problem_of_a_bad_spec_is_in_log_and_evidence(fetched):
    text = ALGORITHM.replace("timeout_seconds: 60", "timeout_seconds: 5").replace("kind: Algorithm", "kind: X")
    report, log = fetched(tar(*TREE, ("slipway.yaml", text.encode())))
    assert report.problem.code == "SPEC-INVALID"
    assert len(report.problem.evidence) == 2
    assert "line 2, kind" in log
    assert report.facts == {}


def test_the_kind_must_be_the_listings(fetched):
    source = tar(*TREE, ("slipway.yaml", MODEL_PACKAGE.encode()))
    code, text = refused(fetched, source)
    assert code == "SPEC-KIND-MISMATCH"
    assert "ModelPackage" in text


def test_a_sample_that_is_not_in_the_source_is_named(fetched):
    tree = [entry for entry in TREE if entry[0] != "sample/expected.csv"]
    code, text = refused(fetched, tar(*tree, ("slipway.yaml", ALGORITHM.encode())))
    assert code == "SPEC-SAMPLE-MISSING"
    assert "sample/expected.csv" in text
    assert "tests.inference.requests[0].expect.file" in text


def test_hostile_sources_are_refused(fetched):
    assert refused(fetched, b"nothing to unpack")[0] == "SOURCE-NOT-ARCHIVE"


def test_another_hostile_source_is_refused(fetched):
    assert refused(fetched, tar(("../../etc/cron.d/x", b"x")))[0] == "SOURCE-PATH-ESCAPE"


def test_limits_come_from_the_settings(fetched, settings):
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_max_files": 2})
    assert refused(fetched, tar(*TREE))[0] == "SOURCE-TOO-LARGE"


def test_an_uploaded_artifact_comes_before_one_in_the_source(fetched):
    source = tar(*TREE, ("model.tar.gz", tar(("other", b"x"))), ("slipway.yaml", MODEL_PACKAGE.encode()))
    report, _ = fetched(source, Kind.MODEL_PACKAGE, MODEL)
    with blobs.open_blob(report.facts["artifact_sha256"]) as stored:
        assert stored.read() == MODEL
    assert report.facts["artifact_bytes"] == len(MODEL)


def test_an_artifact_in_the_source_becomes_a_blob_of_its_own(fetched):
    source = tar(*TREE, ("model.tar.gz", MODEL), ("slipway.yaml", MODEL_PACKAGE.encode()))
    report, _ = fetched(source, Kind.MODEL_PACKAGE)
    with blobs.open_blob(report.facts["artifact_sha256"]) as stored:
        assert stored.read() == MODEL


@pytest.mark.parametrize("spec", [MODEL_PACKAGE, MODEL_PACKAGE.replace("artifact: {path: model.tar.gz}\n", "")])
def test_a_model_package_without_artifacts_is_refused(fetched, spec):
    assert refused(fetched, tar(*TREE, ("slipway.yaml", spec.encode())), Kind.MODEL_PACKAGE)[0] == "SOURCE-NO-ARTIFACT"


@pytest.mark.parametrize("artifact", [
    b"pickle", tar(("m", b"x"), packed=False), MODEL[:-10], tar(), tar(("../m", b"x")), tar(("/m", b"x")),
], ids=["text", "no-gzip", "cut-off", "empty", "leads-out", "absolute"])  # fmt: skip
def test_artifacts_that_sagemaker_could_not_unpack_are_refused(fetched, artifact):
    source = tar(*TREE, ("slipway.yaml", MODEL_PACKAGE.encode()))
    assert refused(fetched, source, Kind.MODEL_PACKAGE, artifact)[0] == "SOURCE-BAD-ARTIFACT"


def test_artifacts_wrapped_in_a_directory_are_warned_about(fetched):
    source = tar(*TREE, ("slipway.yaml", MODEL_PACKAGE.encode()))
    report, _ = fetched(source, Kind.MODEL_PACKAGE, tar(("model/a", b"x"), ("model/b", b"y")))
    (check,) = [check for check in report.checks if check.code == "SOURCE-ARTIFACT-NESTED"]
    assert (check.outcome, check.params["top"]) == (CheckOutcome.WARN, "model")


PIPELINE = MODEL_PACKAGE.replace("artifact: {path: model.tar.gz}\n", "").replace(
    "tests:\n",
    """\
  Containers:
    - {ContainerHostname: features}
    - {ContainerHostname: model, artifact: parts/model.tar.gz}
tests:
""",
)


def test_each_container_of_a_pipeline_has_its_own_archive_from_the_source(fetched):
    source = tar(*TREE, ("parts/model.tar.gz", MODEL), ("slipway.yaml", PIPELINE.encode()))
    report, log = fetched(source, Kind.MODEL_PACKAGE, MODEL)
    assert report.problem is None
    (name, kept), *others = report.facts["artifacts"].items()
    assert (name, kept["bytes"], others) == ("model", len(MODEL), [])
    assert (kept["unpacked_bytes"], kept["files"], len(kept["listing"])) == (2, 1, 1)
    assert report.facts["artifact_sha256"] is None
    assert report.facts["artifact_unpacked_bytes"] == 2
    assert "each container of a pipeline names its own" in log


def test_an_archive_of_a_pipeline_that_is_not_in_the_source_is_missed(fetched):
    source = tar(*TREE, ("slipway.yaml", PIPELINE.encode()))
    assert refused(fetched, source, Kind.MODEL_PACKAGE)[0] == "SOURCE-NO-ARTIFACT"


def test_a_model_in_the_image_needs_no_archive(fetched):
    spec = MODEL_PACKAGE.replace("{path: model.tar.gz}", "{in_image: true}")
    report, log = fetched(tar(*TREE, ("slipway.yaml", spec.encode())), Kind.MODEL_PACKAGE, MODEL)
    assert (report.problem, report.facts["artifact_sha256"], report.facts["artifacts"]) == (None, None, {})
    assert "the image holds the model" in log


def test_files_of_a_file_manager_in_the_artifacts_are_warned_about(fetched):
    source = tar(*TREE, ("slipway.yaml", MODEL_PACKAGE.encode()))
    report, _ = fetched(source, Kind.MODEL_PACKAGE, tar(("a", b"xyz"), ("._a", b"y")))
    (check,) = [check for check in report.checks if check.code == "SOURCE-ARTIFACT-JUNK"]
    assert (check.outcome, check.params["count"], check.evidence[0].text) == (CheckOutcome.WARN, "1", "._a")
    assert "COPYFILE_DISABLE=1" in check.patch
    assert report.facts["artifact_unpacked_bytes"] == 4
    assert (report.facts["artifact_files"], report.facts["artifact_listing"]) == (1, [["a", 3]])
    report, _ = fetched(source, Kind.MODEL_PACKAGE, MODEL)
    assert {check.outcome for check in report.checks if "ARTIFACT" in check.code} == {CheckOutcome.PASS}


@detects(22, "SOURCE-SAMPLE-STRAY")
def test_files_beside_a_channels_data_are_told(fetched):
    stray = [("sample/train/README.md", b"x"), ("sample/train/part.manifest", b"x"), ("sample/train/.hidden", b"x")]
    report, _ = fetched(tar(*TREE, *stray, ("slipway.yaml", ALGORITHM.encode())))
    (check,) = [check for check in report.checks if check.code == "SOURCE-SAMPLE-STRAY"]
    assert (check.outcome, check.params["count"]) == (CheckOutcome.WARN, "3")
    report, _ = fetched(tar(*TREE, ("slipway.yaml", ALGORITHM.encode())))
    (check,) = [check for check in report.checks if check.code == "SOURCE-SAMPLE-STRAY"]
    assert check.outcome == CheckOutcome.PASS


def test_an_algorithms_uploaded_artifact_is_not_used(fetched):
    report, log = fetched(tar(*TREE, ("slipway.yaml", ALGORITHM.encode())), artifact=MODEL)
    assert report.facts["artifact_sha256"] is None
    assert "not used" in log


def test_it_stops_when_told_to(fetched):
    stop = Stop()
    stop.set(StopReason.CANCELLED)
    with pytest.raises(StepStopped):
        fetched(tar(*TREE), stop=stop)


@pytest.mark.parametrize("kind", Kind.values)
def test_a_starter_goes_through_as_it_is(fetched, kind):
    report, _ = fetched(starter_zip(kind), kind)
    assert report.problem is None
    assert starter_file(kind, "Dockerfile").startswith(b"#")
    with blobs.open_blob(report.facts["archive_sha256"]) as stored, tarfile.open(fileobj=stored) as archive:
        assert archive.getmember("serve").mode == 0o755
    with pytest.raises(KeyError):
        starter_file(kind, "../algorithm/train")


@pytest.mark.parametrize(("name", "kind"), [("decision-trees", "Algorithm"), ("churn-predictor", "ModelPackage")])
def test_the_samples_go_through(fetched, tmp_path, name, kind):
    folder = tmp_path / "src" / name
    shutil.copytree(SAMPLES / name, folder)
    if kind == "ModelPackage":
        subprocess.run([sys.executable, str(folder / "make_model.py")], check=True, capture_output=True)
    packed = shutil.make_archive(str(tmp_path / "upload"), "gztar", tmp_path / "src")
    report, _ = fetched(Path(packed).read_bytes(), kind)
    assert report.problem is None
    assert {check.outcome for check in report.checks} == {CheckOutcome.PASS}
    assert (report.facts["artifact_sha256"] is not None) == (kind == "ModelPackage")
