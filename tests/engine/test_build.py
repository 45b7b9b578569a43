"""The build step on a real engine and a real registry."""

from __future__ import annotations

import io
import threading
import time
from contextlib import suppress

import pytest
from docker.errors import APIError

from tests.engine.build_fixtures import BASE, BuildBench
from tests.engine.build_fixtures import bench as bench
from tests.engine.context import MemoryLog
from workers.building import builder
from workers.engine import attempt_labels, connect
from workers.registries import DOCKER_MANIFEST
from workers.steps import build
from workers.steps.contract import StepStopped, Stop, StopReason

pytestmark = pytest.mark.django_db


def test_a_good_build_is_pushed_under_a_random_name_and_leaves_only_cache(bench: BuildBench) -> None:
    context, log = bench.context(
        {
            "docker/Dockerfile": f"ARG BASE={BASE}\nFROM ${{BASE}}\nARG GREETING=none\nCOPY . /src\n"
            'RUN echo "$GREETING" > /greeting && cat /greeting && echo oops >&2\nENTRYPOINT ["sh"]\n',
            "app.txt": "kept",
            "notes.md": "left out",
            ".dockerignore": "*.md\n",
        },
        dockerfile="docker/Dockerfile",
        args={"GREETING": "ahoy"},
    )
    report = build.execute(context)
    facts = report.facts
    assert report.problem is None
    assert facts["media_type"] == DOCKER_MANIFEST
    assert facts["steps"] == 6
    answer = bench.registry.manifest(facts["staging_repository"], facts["digest"], DOCKER_MANIFEST)
    assert answer.status_code == 200
    assert answer.headers["Docker-Content-Digest"] == facts["digest"]
    assert len(facts["staging_repository"].removeprefix("staging/")) == 32
    text = log.text()
    assert "== Step 5/6: RUN echo" in text
    assert "ahoy" in [line for _, stream, line in log.lines if stream == "out"]
    assert "oops" in [line for _, stream, line in log.lines if stream == "err"]
    assert ".dockerignore left out 1 entries" in text
    assert bench.staged_names() == []
    assert [thing.kind for thing in bench.engine.owned(bench.instance)] == []


def test_a_second_build_takes_all_but_its_last_step_from_the_cache(bench: BuildBench) -> None:
    dockerfile = f"FROM {BASE}\nRUN echo {time.time_ns()}\nRUN echo two\nRUN echo three\n"
    first, _ = bench.run(dockerfile)
    second, _ = bench.run(dockerfile)
    # The last image goes with its name: no image of a team stays reachable in the engine.
    assert (first.facts["cached"], second.facts["cached"]) == (0, 2)
    assert second.facts["staging_repository"] != first.facts["staging_repository"]


def test_builds_that_share_steps_do_not_break_each_other(bench: BuildBench) -> None:
    """One build's last image is another's cached step, and goes with the first one's name."""
    shared = f"FROM {BASE}\nRUN echo {time.time_ns()}\n"
    over = threading.Event()

    def build_and_remove() -> None:
        engine = connect()
        while not over.is_set():
            image, _ = engine.client.images.build(fileobj=io.BytesIO(shared.encode()), rm=True, forcerm=True)
            with suppress(APIError):  # a child of it has come about
                engine.api.remove_image(image.id, noprune=True)
        engine.close()

    other = threading.Thread(target=build_and_remove)
    other.start()
    try:
        for number in range(6):
            report, _ = bench.run(f"{shared}RUN echo {number}\n")
            assert report.problem is None
    finally:
        over.set()
        other.join()


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("unknown parent image ID sha256:5f00", True),
        ("failed to get digest sha256:11e0: open imagedb/content/sha256/11e0: no such file or directory", True),
        ("No such image: sha256:5f00", True),
        ('unable to find image "sha256:72f9"', True),
        ("The command '/bin/sh -c echo unknown parent image ID sha256:1' returned a non-zero code: 1", False),
    ],
)
def test_the_words_for_a_step_that_another_build_removed_are_known(said: str, lost: bool) -> None:
    assert builder.lost_an_image(said) is lost


def test_a_target_stage_is_built_and_a_missing_one_is_named(bench: BuildBench) -> None:
    dockerfile = f"FROM {BASE} AS one\nRUN echo first\nFROM one AS two\nRUN exit 9\n"
    report, _ = bench.run(dockerfile, target="one")
    assert report.facts["steps"] == 2
    error, _ = bench.fail(dockerfile, target="three")
    assert error.code == "BUILD-NO-TARGET"
    assert error.report.params["target"] == "three"


def test_a_failing_step_is_named_with_its_line_and_its_last_words(bench: BuildBench) -> None:
    error, log = bench.fail(f"# comment\nFROM {BASE}\n\nRUN echo fine\nRUN echo one last word && \\\n    exit 7\n")
    assert error.code == "BUILD-FAILED"
    assert error.report.params["line"] == "5"
    assert error.report.params["step"] == "3"
    first, *rest = error.report.evidence
    assert first.label == "Dockerfile, line 5"
    spoken = next(number for number, _, text in log.lines if text == "one last word")
    assert [e.log_line for e in rest if e.text == "one last word"] == [spoken]
    assert bench.engine.owned(bench.instance) == []


def test_an_unknown_instruction_is_the_sellers_to_correct(bench: BuildBench) -> None:
    error, _ = bench.fail(f"FROM {BASE}\nRUNN echo\n")
    assert error.code == "BUILD-DOCKERFILE-INVALID"
    assert "RUNN" in error.report.params["message"]


def test_an_image_that_does_not_exist_is_named(bench: BuildBench) -> None:
    error, _ = bench.fail("FROM slipway.local/there-is-no-such-image:1\n")
    assert error.code in ("BUILD-FROM-UNAVAILABLE", "BUILD-REGISTRY-UNREACHABLE")
    assert error.report.params["name"] == "slipway.local/there-is-no-such-image:1"


def test_a_missing_dockerfile_lists_those_that_are_there(bench: BuildBench) -> None:
    context, _ = bench.context({"api/Dockerfile": f"FROM {BASE}\n", "train.Dockerfile": "FROM scratch\n"})
    with pytest.raises(Exception, match="BUILD-NO-DOCKERFILE") as caught:
        build.execute(context)
    assert caught.value.report.params["found"] == "api/Dockerfile, train.Dockerfile"  # type: ignore[attr-defined]


def test_a_base_images_trigger_is_held_to_the_rules(bench: BuildBench) -> None:
    name, tag = "slipway.local/build-trigger", bench.instance
    container = bench.engine.create_container(BASE, labels=attempt_labels(bench.instance, "test-host", "trigger"))
    trigger = "ADD http://169.254.169.254/latest/meta-data/ /stolen"
    bench.engine.api.commit(container.id, repository=name, tag=tag, changes=f"ONBUILD {trigger}")
    try:
        error, _ = bench.fail(f"FROM {name}:{tag}\n")
    finally:
        bench.engine.remove_image(f"{name}:{tag}")
    assert error.code == "BUILD-ADD-URL"


def test_a_registry_that_refuses_is_the_platforms_fault_and_no_name_stays(bench: BuildBench) -> None:
    bench.configure(staging_username="nobody")
    error, _ = bench.fail(f"FROM {BASE}\nRUN echo refused\n")
    assert error.code == "BUILD-PUSH-REFUSED"
    assert bench.staged_names() == []
    assert bench.engine.owned(bench.instance) == []


@pytest.mark.parametrize(
    ("reason", "script"),
    [(StopReason.CANCELLED, "echo started; sleep 300"), (StopReason.TIMED_OUT, "while :; do echo started; done")],
    ids=["a step that sleeps", "a step that prints forever"],
)
def test_stop_ends_the_build_within_seconds_and_leaves_nothing(
    bench: BuildBench, reason: StopReason, script: str
) -> None:
    stop = Stop()
    context, log = bench.context({"Dockerfile": f"FROM {BASE}\nRUN {script}\n"}, stop)
    stopped_at = _stop_when(log, "started", stop, reason)
    with pytest.raises(StepStopped) as caught:
        build.execute(context)
    assert caught.value.reason is reason
    assert time.monotonic() - stopped_at[0] < 15
    time.sleep(1)  # the engine might still have been about to start one more
    assert bench.engine.owned(bench.instance) == []
    assert bench.staged_names() == []


def test_stop_before_the_build_starts_makes_nothing(bench: BuildBench) -> None:
    stop = Stop()
    stop.set(StopReason.CANCELLED)
    context, _ = bench.context({"Dockerfile": f"FROM {BASE}\n"}, stop)
    with pytest.raises(StepStopped):
        build.execute(context)
    assert bench.engine.owned(bench.instance) == []


def test_output_is_live_while_a_step_runs(bench: BuildBench) -> None:
    stop = Stop()
    context, log = bench.context(
        {"Dockerfile": f"FROM {BASE}\nRUN echo early; sleep 3; echo late {time.time_ns()}\n"}, stop
    )
    seen: list[float] = []
    write = log.line

    def watched(text: str, stream: str = "out", lost: int = 0) -> int:
        if text == "early" or text.startswith("late "):
            seen.append(time.monotonic())
        return write(text, stream, lost)

    log.line = watched  # type: ignore[method-assign]
    build.execute(context)
    assert len(seen) == 2
    assert seen[1] - seen[0] > 2


def _stop_when(log: MemoryLog, text: str, stop: Stop, reason: StopReason) -> list[float]:
    """Tell the step to stop, from another thread, once ``text`` is in its log. The answer holds when that was."""
    told: list[float] = []

    def watch() -> None:
        while text not in [line for _, _, line in list(log.lines)]:
            time.sleep(0.1)
        time.sleep(0.5)
        told.append(time.monotonic())
        stop.set(reason)

    threading.Thread(target=watch, daemon=True).start()
    return told
