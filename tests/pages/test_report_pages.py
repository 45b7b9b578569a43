"""The report of a run and the comparison of two: as pages, as documents that fit their schemas, for whom they are."""

from __future__ import annotations

import html
import re
from io import BytesIO
from typing import Any

import jsonschema
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from listings.models import Listing, Role, Run, UploadPurpose, Version
from listings.services import teams, versions
from listings.twin.document import Comparison, Report, schema_of
from tests import flow, twin_facts

pytestmark = pytest.mark.django_db


def address(run: Run, page: str = "twin/") -> str:
    listing = run.version.listing
    return f"/t/{listing.team.slug}/listings/{listing.slug}/versions/{run.version.number}/runs/{run.number}/{page}"


@pytest.fixture
def run(seller: Any, draft: Version) -> Run:
    return versions.submit_version(seller, draft)


def next_version(seller: Any, listing: Listing, number: str = "1.1.0") -> Run:
    upload = versions.store_upload(seller, listing.team, UploadPurpose.SOURCE, "c.tar.gz", BytesIO(b"new"), 3)
    version = versions.create_version(seller, listing, number=number, source=upload)
    return versions.submit_version(seller, version)


def end_in_failure(run: Run) -> None:
    reports = twin_facts.failing()
    for name in ("fetch", "build", "inspect", "scan", "test"):
        flow.end(run, name, reports.get(name))
    run.refresh_from_db()


def document(client: Client, run: Run, page: str, model: Any) -> Any:
    """The document at the address, checked against the schema that is published for it."""
    answer = client.get(address(run, page))
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    jsonschema.Draft202012Validator(schema_of(model)).validate(answer.json())
    return answer.json()


def text_of(page: str) -> str:
    main = page[page.index("<main") : page.index("</main>")]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", main)))


def test_a_passed_run_says_so_first_and_shows_what_was_measured(signed_in: Client, run: Run) -> None:
    flow.run_through(run, **twin_facts.good())
    page = signed_in.get(address(run)).content.decode()
    words = text_of(page)
    assert "Nothing was found that AWS would find." in words
    assert "1 could not be judged here" in words
    for part in ("Training job", "p99", "41 ms", "612 MiB", "validation:accuracy", "ml.t2.medium", "model.json",
                 "One line is 81 % of your image", "RUN pip install", "libtorch_cpu.so", "Where this test differs",
                 "first good ping", "MULTI_RECORD", "MultiRecord, 100 records", "590 MiB → 612 MiB"):  # fmt: skip
        assert part in words, part
    assert page.index('id="stage-instance"') < page.index('id="figures"') < page.index('id="passed"')
    assert page.count('<svg class="trace is-wide') == page.count('<svg class="trace is-small') == 6
    assert "style=" not in page[page.index("<main") : page.index("</main>")]
    assert f"{address(run, '')}#test-1-L6" in page


def test_a_skip_shows_its_question_and_its_reason_and_no_fault(signed_in: Client, run: Run) -> None:
    skips = (
        flow.CheckReport("TEST-MEMORY", flow.CheckOutcome.SKIP, {"phase": "serve", "limit_gib": "3", "peak_mb": "512"}),
        flow.CheckReport(
            "TEST-MEMORY-GROWTH", flow.CheckOutcome.SKIP, {"reason": "too few requests were sent"},
            (twin_facts.Evidence("too few requests were sent", "not established"),),
        ),
    )  # fmt: skip
    flow.run_through(run, test=flow.StepReport(twin_facts.tested(), skips))
    shown = [signed_in.get(address(run, page)).content.decode() for page in ("twin/", "")]
    told = " ".join(
        f"{check['title']} {check['cause']}" for check in document(signed_in, run, "twin.json", Report)["checks"]
    )
    for words in (*map(text_of, shown), told):
        assert "Not judged: whether the container stays within the instance type's memory" in words
        assert "During serving the peak was 512 MiB." in words
        assert words.count("oo few requests were sent") == 1
        assert "ran out of memory" not in words
        assert "Memory grows" not in words
        assert "{" not in words


def test_the_checks_stand_by_stage_and_what_fails_comes_first(signed_in: Client, run: Run) -> None:
    reports = twin_facts.failing()
    test = reports["test"]
    more = (
        flow.CheckReport("TEST-TRAIN-METRICS", flow.CheckOutcome.WARN, {"missing": "loss", "count": "1"}),
        flow.CheckReport("TEST-BAD-BODY", flow.CheckOutcome.FAIL, {"reason": "it ended"}), twin_facts.SKIPPED,
    )  # fmt: skip
    reports["test"] = flow.StepReport(test.facts, (*test.checks, *more), problem=test.problem)
    for name in ("fetch", "build", "inspect", "scan", "test"):
        flow.end(run, name, reports.get(name))
    page = signed_in.get(address(run)).content.decode()
    assert re.findall(r'<h2[^>]* id="stage-([a-z]+)"', page) == ["network", "invocations", "training", "instance"]
    at = [page.index(part) for part in ("check-TEST-BAD-BODY-", "check-TEST-PAYLOAD-", 'id="stage-training"')]
    assert at == sorted(at)  # a stage has its warnings behind its failures
    assert 'href="#stage-network"' in page
    assert page.count("What is called never answers") == 2  # in the answer, and where the stage's checks stand


def test_the_facts_of_hosts_pipelines_further_runs_and_archives_are_shown(signed_in: Client, run: Run) -> None:
    tested = twin_facts.tested(
        training=None,
        hosts=[{"host": "algo-1", "exit_code": 0, "seconds": 3.5}, {"host": "algo-2", "exit_code": None}],
        runs_skipped=[{"phase": "serve", "network": "drop", "reason": "the step has not enough time left"}],
        profiles={"train": {"instance_type": "ml.m5.large", "memory_bytes": 8 << 30, "cpus": 2.0, "clamped": []},
                  "serve": {"instance_type": "ml.c5.xlarge", "memory_bytes": 3 << 30, "cpus": 4.0,
                            "clamped": ["3 of 8 GiB"]}},
        runs=[twin_facts.run(phase, 4.0, 1e8, []) for phase in ("serve", "train-values-range", *["train"] * 24)],
    )  # fmt: skip
    tested["inference"] |= {"pipeline": [{"name": "features", "port": 8081, "first_ping_seconds": 0.5, "exit_code": 0}]}
    fetched = {"artifact_sha256": "5e" * 32, "artifact_bytes": 1200, "artifact_unpacked_bytes": 3000,
               "artifact_files": 1, "artifact_listing": [["weights.bin", 3000]]}  # fmt: skip
    flow.run_through(run, fetch=flow.StepReport(fetched), test=flow.StepReport(tested))
    words = text_of(signed_in.get(address(run)).content.decode())
    for part in ("Trained on 2 hosts", "exit 0 after 3.5 s", "stopped", "Containers of the pipeline", "port 8081",
                 "Serving, calls left unanswered: the step has not enough time left", "Trained as", "Served as",
                 "ml.c5.xlarge", "weights.bin", "from the source", "Training with a value out of its range",
                 "2 more runs recorded than shown here"):  # fmt: skip
        assert part in words, part
    found = document(signed_in, run, "twin.json", Report)
    assert [len(found[key]) for key in ("hosts", "runs_skipped", "profiles", "models", "runs")] == [2, 1, 2, 1, 24]
    assert (found["runs_more"], found["inference"]["pipeline"][0]["port"]) == (2, 8081)


def test_what_training_left_beside_its_model_is_listed(signed_in: Client, run: Run) -> None:
    trained = twin_facts.TRAINING | {"output_files": 1, "output_bytes": 4, "output_listing": [["report.txt", 4]]}
    flow.run_through(run, test=flow.StepReport(twin_facts.tested(training=trained)))
    words = text_of(signed_in.get(address(run)).content.decode())
    assert "would become output.tar.gz" in words
    assert "report.txt" in words
    assert document(signed_in, run, "twin.json", Report)["training"]["output_listing"] == [
        {"path": "report.txt", "bytes": 4}
    ]


def test_a_type_with_another_processor_is_not_called_too_small(signed_in: Client, run: Run) -> None:
    row = {"instance_type": "ml.c6g.large", "use": "realtime", "fits": False, "measured": False,
           "reason": "it has an ARM processor, and the image is made for amd64"}  # fmt: skip
    flow.run_through(run, test=flow.StepReport(twin_facts.tested(advisor=[row])))
    words = text_of(signed_in.get(address(run)).content.decode())
    assert "it has an ARM processor" in words
    assert "Does not fit" in words
    assert "Too small" not in words
    assert "calculated" not in words


def test_a_failed_run_says_what_aws_would_say_and_how_to_mend_it(signed_in: Client, run: Run) -> None:
    end_in_failure(run)
    page = signed_in.get(address(run)).content.decode()
    words = text_of(page)
    assert "AWS would refuse this version: 1 check fails." in words
    assert "It ends at “Network isolation”." in words
    assert page.index('id="check-TEST-EGRESS-1"') < page.index('id="check-TEST-PAYLOAD-1"') < page.index('id="figures"')
    assert page.count('id="check-TEST-EGRESS-1"') == 1
    assert "Copy patch" in words
    assert "Retry this step only" in words
    assert f"{address(run, '')}#test-1-L12" in page
    assert "answered, to learn more" in words
    shown = signed_in.get(address(run, "")).content.decode()
    assert "huggingface.co:443" in shown
    assert "metadata.example" not in text_of(shown)  # seen in the diagnosis only, which decides nothing
    assert "GET /latest/" in words


def test_the_step_is_tried_again_from_the_report(signed_in: Client, run: Run) -> None:
    end_in_failure(run)
    page = signed_in.get(address(run)).content.decode()
    [action] = re.findall(r'action="([^"]+/retry/)"', page)
    assert signed_in.post(action).status_code == 302
    assert flow.states(run)["test"] == "queued"
    assert "Retry this step only" not in signed_in.get(address(run)).content.decode()


def test_who_may_only_look_is_offered_no_retry(client: Client, make_user: Any, run: Run, admin: Any) -> None:
    end_in_failure(run)
    viewer = make_user("vera")
    teams.add_member(None, run.version.listing.team, viewer.email, Role.VIEWER)
    for user in (viewer, admin):
        client.force_login(user)
        page = client.get(address(run)).content.decode()
        assert "The container calls out" in page
        assert "Retry this step only" not in page


def test_a_build_that_failed_is_a_report_too(signed_in: Client, run: Run) -> None:
    flow.end(run, "fetch")
    flow.end(run, "build", flow.failed("BUILD-FAILED"))
    words = text_of(signed_in.get(address(run)).content.decode())
    assert "This version does not get as far as AWS: 1 fault." in words
    assert "BUILD-FAILED" in words
    assert "The isolated test recorded nothing" in words
    found = document(signed_in, run, "twin.json", Report)
    assert [check["code"] for check in found["checks"]] == ["BUILD-FAILED"]
    assert found["training"] is None


def test_a_run_that_goes_on_promises_nothing(signed_in: Client, run: Run) -> None:
    flow.end(run, "fetch")
    assert "The run goes on" in text_of(signed_in.get(address(run)).content.decode())


def test_a_fault_of_ours_is_not_called_the_sellers(signed_in: Client, run: Run) -> None:
    for name in ("fetch", "build", "inspect", "scan"):
        flow.end(run, name)
    for _ in range(4):  # a fault of ours is tried again first
        if flow.states(run)["test"] == "queued":
            flow.end(run, "test", flow.failed("TEST-HOLDER"))
    words = text_of(signed_in.get(address(run)).content.decode())
    assert "What AWS would say is not known" in words
    assert "The fault is Slipway's, not yours." in words


def test_the_document_fits_its_schema_and_leads_with_the_failures(signed_in: Client, run: Run) -> None:
    end_in_failure(run)
    found = document(signed_in, run, "twin.json", Report)
    assert [check["outcome"] for check in found["checks"]] == sorted(
        (check["outcome"] for check in found["checks"]), key=["fail", "warn", "skip", "pass"].index
    )
    first = found["checks"][0]
    assert (first["code"], first["stage"], first["evidence"][0]["log_line"]) == ("TEST-EGRESS", "network", 12)
    assert first["patch"].startswith("- tok")
    assert found["verdict"]["counts"] == {"pass": 3, "warn": 1, "fail": 1, "skip": 0}
    assert found["inference"]["load"]["p50_ms"] == pytest.approx(7.48)
    assert found["runs"][1]["resources"]["memory"][-1] > 600 * 2**20
    assert found == document(signed_in, run, "twin.json", Report)


def test_schemas_are_served_to_everybody(client: Client) -> None:
    for name, model in (("report-1", Report), ("comparison-1", Comparison)):
        served = client.get(f"/schema/{name}.json").json()
        jsonschema.Draft202012Validator.check_schema(served)
        assert served == schema_of(model)


def test_an_old_run_shows_what_it_has(signed_in: Client, run: Run) -> None:
    old = {
        "profile": {"instance_type": "ml.m5.large", "memory_bytes": 8 << 30, "cpus": 2.0, "clamped": []},
        "training": {"exit_code": 0, "seconds": 3.0, "model_bytes": 12, "metrics": {"loss": [2.0, 1.0]}},
        "inference": {"first_ping_seconds": 0.5, "requests": [{"name": "one", "status": 200, "ms": 2}]},
        "outgoing": [{"phase": "train", "protocol": "dns", "host": "pypi.example", "count": 2, "first_seconds": 0.3}],
        "peak_memory_bytes": 5 << 20,
    }  # fmt: skip
    inspected = {"layers": [{"bytes": 5, "bytes_compressed": 2, "created_by": ""}], "bytes_compressed": 2}
    flow.run_through(run, test=flow.StepReport(old), inspect=flow.StepReport(inspected))
    words = text_of(signed_in.get(address(run)).content.decode())
    assert "Not recorded over time." in words
    assert "Its files were not recorded." in words
    assert "pypi.example" in words
    assert "files not recorded" in words
    document(signed_in, run, "twin.json", Report)


def test_hostile_facts_are_escaped_and_bounded_everywhere(signed_in: Client, seller: Any, run: Run) -> None:
    wild = twin_facts.hostile()
    said = flow.CheckReport(
        "TEST-REQUEST", flow.CheckOutcome.FAIL, {"name": twin_facts.HOSTILE, "reason": twin_facts.HOSTILE},
        (twin_facts.Evidence(twin_facts.HOSTILE * 300, twin_facts.HOSTILE, 3),), twin_facts.HOSTILE,
    )  # fmt: skip
    layer = {"created_by": twin_facts.HOSTILE * 99, "bytes": -5, "packages": [[twin_facts.HOSTILE] * 3]}
    inspected = {"layers": [layer],
                 "xray": {"lines": [0, 9, -1, "x"], "share": "all"}}  # fmt: skip
    report = flow.StepReport(wild, (said,))
    flow.run_through(run, test=report, inspect=flow.StepReport(inspected))
    later = next_version(seller, run.version.listing)
    flow.run_through(later, test=report)
    for url in (address(run), address(run, ""), address(later, "compare/")):
        answer = signed_in.get(url)
        assert answer.status_code == 200, url
        page = answer.content.decode()
        assert "<script>alert" not in page
        assert "\x1b" not in page, url
        assert "\u202e" not in page, url
        assert len(page) < 2_000_000
    document(signed_in, run, "twin.json", Report)
    document(signed_in, later, "compare.json", Comparison)


def test_two_versions_are_compared_with_the_last_passed_one_by_default(
    signed_in: Client, seller: Any, listing: Listing, run: Run
) -> None:
    flow.run_through(run, **twin_facts.good())
    broken = next_version(seller, listing, "1.0.1")
    flow.end(broken, "fetch", flow.failed("SOURCE-EMPTY"))
    later = next_version(seller, listing)
    end_in_failure(later)
    page = signed_in.get(address(later, "compare/")).content.decode()
    words = text_of(page)
    assert "1.0.0 → 1.1.0" in words
    assert "newly fails" in words
    assert "-setosa" not in words
    assert "-virginica" in words
    assert "huggingface.co:443" in words
    found = document(signed_in, later, "compare.json", Comparison)
    assert (found["before"]["version"], found["after"]["version"]) == ("1.0.0", "1.1.0")
    worse = {figure["key"] for figure in found["figures"] if figure["regression"]}
    assert {"p90_ms", "p99_ms", "first_ping_seconds", "peak_memory_bytes", "image_bytes", "throughput"} <= worse
    assert "Compare with 1.0.0" in signed_in.get(address(later, "")).content.decode()


def test_any_run_of_the_listing_can_be_chosen(signed_in: Client, seller: Any, listing: Listing, run: Run) -> None:
    flow.run_through(run, **twin_facts.good())
    later = next_version(seller, listing)
    flow.run_through(later, **twin_facts.good())
    chosen = signed_in.get(address(run, "compare/") + "?with=1.1.0/1")
    assert "1.1.0 → 1.0.0" in text_of(chosen.content.decode())
    assert "Nothing got worse." in text_of(chosen.content.decode())
    assert signed_in.get(address(run, "compare/") + "?with=1.1.0").status_code == 200
    for wrong in ("9.9.9/1", "1.1.0/7", "1.1.0/x", "/", "1.1.0/99999999999999999999", "1.0.0/1"):
        assert signed_in.get(address(run, "compare/"), {"with": wrong}).status_code == 404, wrong


def test_without_another_run_the_page_says_what_it_is_for(signed_in: Client, run: Run) -> None:
    flow.run_through(run)
    assert "Nothing to compare with yet" in text_of(signed_in.get(address(run, "compare/")).content.decode())
    assert signed_in.get(address(run, "compare.json")).status_code == 409


def test_the_version_page_has_the_plot_and_leads_to_the_report(signed_in: Client, run: Run) -> None:
    flow.run_through(run, **twin_facts.good())
    page = signed_in.get(address(run, "")).content.decode()
    assert 'class="trace is-wide"' in page
    assert 'fits <b class="num">ml.t2.medium' in page
    assert f'href="{address(run)}"' in page
    assert "Compare with" not in page


@pytest.mark.parametrize("others", [1, 4])
def test_pages_stay_within_their_budget_however_many_runs_there_are(
    signed_in: Client, seller: Any, listing: Listing, run: Run, others: int,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:  # fmt: skip
    flow.run_through(run, **twin_facts.good())
    for index in range(others):
        later = next_version(seller, listing, f"1.{index + 1}.0")
        end_in_failure(later)
    for page, budget in {"twin/": 24, "twin.json": 12, "compare/": 22, "compare.json": 15, "": 36}.items():
        with django_assert_max_num_queries(budget, info=page):
            assert signed_in.get(address(later, page)).status_code == 200
