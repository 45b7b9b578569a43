"""New version: files, number, and the specification from the source, by form or pasted."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from listings import spec
from listings.models import Kind, Listing, Run, Upload, UploadPurpose, Version
from listings.models.teams import Team
from listings.reports import StepReport
from listings.services import listings as listing_service
from listings.services import teams, versions
from tests import flow
from tests.spec_posting import sent
from tests.unit.spec_fixtures import ALGORITHM, MODEL_PACKAGE, changed

pytestmark = pytest.mark.django_db
TREES = spec.parse((Path(settings.BASE_DIR) / "samples/decision-trees/slipway.yaml").read_text())


class Inputs(HTMLParser):
    """Inputs of a page by name, with what they hold; every id; what labels point at. Templates do not count."""

    def __init__(self, page: HttpResponse | str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.ids: list[str] = []
        self.labelled: set[str] = set()
        self.named: list[tuple[str, str]] = []
        self._template, self._area, self._label = 0, "", 0
        self.feed(page if isinstance(page, str) else page.content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self._template += tag == "template"
        self._label += tag == "label"
        if self._template:
            return
        self.ids += [found["id"]] if "id" in found else []
        self.labelled |= {found["for"]} if tag == "label" and "for" in found else set()
        if tag not in ("input", "textarea", "select") or found.get("type") == "hidden":
            if found.get("type") == "hidden":
                self.values[found["name"]] = found.get("value", "")
            return
        if not self._label and "aria-label" not in found and "name" in found:
            self.named.append((found["name"], found.get("id", "")))
        self._area = found.get("name", "") if tag == "textarea" else ""
        if tag == "input":
            name, chooses = found.get("name", ""), found.get("type") in ("checkbox", "radio")
            if chooses and "checked" not in found:
                self.values.setdefault(name, "")
            else:
                self.values[name] = found.get("value", "on" if chooses else "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] = self.values.get(self._area, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._template -= tag == "template"
        self._label -= tag == "label"
        if tag == "textarea":
            self._area = ""


def url_of(listing: Listing, rest: str = "") -> str:
    return f"/t/{listing.team.slug}/listings/{listing.slug}/versions/new/{rest}"


def typed(given: spec.VersionSpec, upload: Upload | None, **more: Any) -> dict[str, Any]:
    """What a browser sends when ``given`` was filled in."""
    data: dict[str, Any] = dict(sent(given).lists())
    source = {"source_id": str(upload.pk)} if upload else {}
    return {**data, "number": "1.0.0", "spec_origin": "here", "notes": "First.", **source, **more}


@pytest.fixture
def package(seller: Any, team: Team) -> Listing:
    return listing_service.create_listing(seller, team, kind=Kind.MODEL_PACKAGE, name="Churn", product_id="")


@pytest.fixture
def foreign(make_user: Any) -> Upload:
    stranger = make_user("stranger")
    other = teams.create_team(stranger, "Others")
    return versions.store_upload(stranger, other, UploadPurpose.SOURCE, "theirs.zip", BytesIO(b"theirs"), 6)


def test_the_page_offers_files_a_number_starters_and_three_ways_to_specify(
    signed_in: Client, listing: Listing, draft: Version
) -> None:
    page = signed_in.get(url_of(listing)).content.decode()
    inputs = Inputs(page)
    assert inputs.values["number"] == "1.0.1"
    assert inputs.values["spec_origin"] == "source"
    assert "source_file" in inputs.values
    assert "artifact_file" not in inputs.values
    for name in ("starter.zip", "slipway.yaml", "Dockerfile"):
        assert signed_in.get(re.search(f'href="([^"]+/Algorithm/{name})"', page)[1]).status_code == 200  # type: ignore[index]


def test_model_packages_may_bring_their_artifact(signed_in: Client, package: Listing) -> None:
    page = signed_in.get(url_of(package)).content.decode()
    assert "artifact_file" in Inputs(page).values
    assert "/ModelPackage/starter.zip" in page
    assert "training-SupportedTrainingInstanceTypes" not in page


@pytest.mark.parametrize("kind", ["listing", "package"])
def test_ids_are_given_once_and_every_input_has_a_name(signed_in: Client, request: Any, kind: str) -> None:
    inputs = Inputs(signed_in.get(url_of(request.getfixturevalue(kind))))
    assert [name for name, count in Counter(inputs.ids).items() if count > 1] == []
    assert [name for name, at in inputs.named if at not in inputs.labelled] == []


def test_a_version_whose_source_holds_the_specification(signed_in: Client, listing: Listing, upload: Upload) -> None:
    data = {"number": "1.0.0", "source_id": str(upload.pk), "spec_origin": "source", "notes": ""}
    assert signed_in.post(url_of(listing), data).status_code == 302
    version = Version.objects.get()
    assert (version.spec, version.source) == (None, upload)
    assert Run.objects.filter(version=version).count() == 1


def test_a_version_that_was_specified_by_form(signed_in: Client, listing: Listing, upload: Upload) -> None:
    answer = signed_in.post(url_of(listing), typed(TREES, upload))
    assert answer.status_code == 302
    version = Version.objects.get()
    assert version.spec is not None
    assert spec.VersionSpec.stored(version.spec) == TREES
    assert version.notes == "First."
    assert version.runs.count() == 1


def test_a_problem_keeps_all_that_was_typed_and_uploaded(signed_in: Client, listing: Listing, upload: Upload) -> None:
    wrong = {
        "training-SupportedTrainingInstanceTypes": "ml.m5.larg", "listing-title": "Trees & more",
        "training.TrainingChannels-2-Description": "Half a channel",
    }  # fmt: skip
    answer = signed_in.post(url_of(listing), typed(TREES, upload, **wrong))
    page = answer.content.decode()
    shown = Inputs(page).values
    assert answer.status_code == 422
    assert not Version.objects.exists()
    assert shown["source_id"] == str(upload.pk)
    assert upload.filename in page
    assert shown["notes"].strip() == "First."
    assert shown["training-SupportedTrainingInstanceTypes"].strip() == "ml.m5.larg"
    assert shown["training.TrainingChannels-2-Description"] == "Half a channel"
    assert shown["listing-title"] == "Trees & more"
    error = re.search(r'id="id_training-SupportedTrainingInstanceTypes-error".*?<span>(.*?)</span>', page, re.DOTALL)
    assert error
    assert "did you mean ml.m5.large" in error[1]
    assert 'href="#id_training.TrainingChannels-2-Name"' in page


def test_what_was_typed_into_the_form_stays_while_another_way_is_chosen(
    signed_in: Client, listing: Listing, upload: Upload
) -> None:
    data = typed(TREES, upload, number="one", spec_origin="source", **{"listing-title": "Kept"})
    answer = signed_in.post(url_of(listing), data)
    assert answer.status_code == 422
    assert Inputs(answer).values["listing-title"] == "Kept"
    assert b"to correct" not in answer.content


def test_a_file_sent_with_a_faulty_form_is_kept(signed_in: Client, listing: Listing) -> None:
    data = typed(TREES, None, number="one", source_file=SimpleUploadedFile("trees.zip", b"content"))
    answer = signed_in.post(url_of(listing), data)
    kept = Upload.objects.get()
    assert answer.status_code == 422
    assert Inputs(answer).values["source_id"] == str(kept.pk)
    again = signed_in.post(url_of(listing), typed(TREES, kept))
    assert again.status_code == 302
    assert Version.objects.get().source == kept


@pytest.mark.parametrize("name", ["source_id", "artifact_id"])
def test_uploads_of_other_teams_are_refused(
    signed_in: Client, package: Listing, upload: Upload, foreign: Upload, name: str
) -> None:
    if name == "artifact_id":
        Upload.objects.filter(pk=foreign.pk).update(purpose=UploadPurpose.ARTIFACT)
    answer = signed_in.post(url_of(package), typed(spec.parse(MODEL_PACKAGE), upload, **{name: str(foreign.pk)}))
    assert answer.status_code == 422
    assert b"This upload is not there" in answer.content
    assert b"theirs.zip" not in answer.content
    assert not Version.objects.exists()


def test_a_pasted_file_is_checked_with_its_lines(signed_in: Client, listing: Listing, upload: Upload) -> None:
    data = {"number": "1.0.0", "source_id": str(upload.pk), "spec_origin": "paste"}
    wrong = signed_in.post(url_of(listing), {**data, "spec_text": changed("[ml.m5.large]", "[ml.m5.larg]", ALGORITHM)})
    assert wrong.status_code == 422
    assert "line 8, training.SupportedTrainingInstanceTypes[0]" in wrong.content.decode()
    other = signed_in.post(url_of(listing), {**data, "spec_text": MODEL_PACKAGE})
    assert "this listing is of kind Algorithm" in other.content.decode()
    assert signed_in.post(url_of(listing), {**data, "spec_text": ALGORITHM}).status_code == 302
    assert Version.objects.get().spec == spec.parse(ALGORITHM).as_json()


def test_the_form_begins_with_the_starter(signed_in: Client, listing: Listing, draft: Version) -> None:
    page = signed_in.get(url_of(listing)).content.decode()
    assert "as in the example" in page
    assert Inputs(page).values["training.SupportedHyperParameters-0-Name"] == "rounds"


def test_the_form_begins_with_the_newest_versions_specification(
    signed_in: Client, seller: Any, listing: Listing, upload: Upload
) -> None:
    old, new = TREES.as_json(), spec.parse(ALGORITHM).as_json()
    versions.create_version(seller, listing, number="1.10.0", source=upload, spec=new)
    versions.create_version(seller, listing, number="1.9.0", source=upload, spec=old)
    page = signed_in.get(url_of(listing)).content.decode()
    assert re.search(r"as in <a[^>]*>1\.10\.0</a>", page)
    assert Inputs(page).values["listing-title"] == "Trees"


def test_the_form_begins_with_what_the_last_run_read_in_the_source(
    signed_in: Client, seller: Any, listing: Listing, draft: Version
) -> None:
    run = versions.submit_version(seller, draft)
    flow.end(run, "fetch", StepReport({"archive_sha256": "0" * 64, "spec": TREES.as_json()}))
    inputs = Inputs(signed_in.get(url_of(listing))).values
    assert inputs["listing-title"] == TREES.listing.title
    assert inputs["tests.inference.requests-3-expect.status"] == "400"


def test_the_form_can_be_taken_along_as_a_file(signed_in: Client, listing: Listing) -> None:
    answer = signed_in.post(url_of(listing, "spec.yaml"), typed(TREES, None))
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == 'attachment; filename="slipway.yaml"'
    assert spec.parse_bytes(answer.content) == TREES
    assert not Version.objects.exists()


def test_a_faulty_form_makes_no_file_and_is_shown_with_its_problems(
    signed_in: Client, listing: Listing, upload: Upload
) -> None:
    data = typed(TREES, upload, number="", **{"build-dockerfile": "/Dockerfile"})
    answer = signed_in.post(url_of(listing, "spec.yaml"), data)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'href="#id_build-dockerfile"' in page
    assert Inputs(page).values["source_id"] == str(upload.pk)
    assert "id_number-error" not in page, "the number was not asked about"
    assert f'action="{url_of(listing)}"' in page
    assert signed_in.get(url_of(listing, "spec.yaml")).headers["Location"] == url_of(listing)


def test_an_empty_form_makes_no_file(signed_in: Client, listing: Listing) -> None:
    answer = signed_in.post(url_of(listing, "spec.yaml"), {"spec_origin": "source"})
    assert answer.status_code == 422
    assert Inputs(answer).values["spec_origin"] == "here"
    assert b"Fill this in." in answer.content


def test_more_rows_come_without_script_and_without_judgement(
    signed_in: Client, listing: Listing, upload: Upload
) -> None:
    name = "training.MetricDefinitions"
    data = typed(TREES, upload, number="", more=name, **{"build-dockerfile": "/Dockerfile"})
    rows = int(data[f"{name}-TOTAL_FORMS"][0])
    answer = signed_in.post(url_of(listing), data)
    shown = Inputs(answer).values
    assert answer.status_code == 200
    assert f"{name}-{rows + 1}-Name" in shown
    assert shown["build-dockerfile"] == "/Dockerfile"
    assert shown["source_id"] == str(upload.pk)
    assert b"form-error" not in answer.content
    assert not Version.objects.exists()


@pytest.mark.parametrize("rest", ["", "spec.yaml"])
def test_strangers_make_no_versions(
    client: Client, make_user: Any, listing: Listing, upload: Upload, rest: str
) -> None:
    client.force_login(make_user("stranger"))
    assert client.post(url_of(listing, rest), typed(TREES, upload)).status_code in (403, 404)
    assert not Version.objects.exists()


def test_the_longest_specification_can_be_sent(signed_in: Client, listing: Listing, upload: Upload) -> None:
    """Django refuses forms with too many inputs: a hundred hyperparameters are no attack."""
    data = TREES.as_json()
    first = data["training"]["SupportedHyperParameters"][0]
    data["training"]["SupportedHyperParameters"] += [{**first, "Name": f"p{number}"} for number in range(97)]
    assert signed_in.post(url_of(listing), typed(spec.from_data(data), upload)).status_code == 302


def test_a_team_without_aws_is_told_before_it_runs_anything(seller: Any, client: Client, listing: Listing) -> None:
    client.force_login(seller)
    address = reverse("version_new", args=[listing.team.slug, listing.slug])
    assert "is not connected to AWS" not in client.get(address).content.decode()
    Team.objects.update(s3_bucket="")
    assert "is not connected to AWS" in client.get(address).content.decode()
