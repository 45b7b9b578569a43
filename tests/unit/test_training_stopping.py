"""What is proposed to a training that took no notice of SIGTERM."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from listings.reports import CheckOutcome
from workers.sandbox.phase import Bench, Outcome
from workers.sandbox.subject import Exit
from workers.sandbox.training import patches
from workers.sandbox.training.stopping import Stopped, _report


def bench(entrypoint: list[str] | None) -> Bench:
    image = SimpleNamespace(attrs={"Config": {"Entrypoint": entrypoint}})
    client = SimpleNamespace(images=SimpleNamespace(get=lambda _name: image))
    return cast(Bench, SimpleNamespace(engine=SimpleNamespace(client=client), image=SimpleNamespace(name="staged")))


@pytest.mark.parametrize(
    ("entrypoint", "patch"),
    [
        (["/bin/sh", "-c", "python3 main.py"], patches.EXEC_FORM),
        (["/bin/bash", "-o", "pipefail", "-c", "python3 main.py"], patches.EXEC_FORM),
        (["/bin/bash", "-lc", "python3 main.py"], patches.EXEC_FORM),
        (["/bin/bash", "/start.sh"], patches.SIGTERM_HANDLER),
        (None, patches.SIGTERM_HANDLER),
    ],
)
def test_the_exec_form_is_proposed_where_a_shell_keeps_the_signal(entrypoint: list[str] | None, patch: str) -> None:
    outcome = Outcome("train-stop")
    found = Stopped(Exit(137, False, 9.0), 3.0, 120.0, 1, cast(dict[str, Any], {}))
    _report(bench(entrypoint), outcome, CheckOutcome.WARN, "it took no notice", found, 0)
    [check] = outcome.checks
    assert check.patch == patch
    told = [evidence.text for evidence in check.evidence if evidence.label == "ENTRYPOINT in shell form"]
    assert told == (["ENTRYPOINT python3 main.py"] if patch == patches.EXEC_FORM else [])
