"""New version from Git or from an existing image: prefilled, judged at its fields, kept, and shown on its page."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from listings import spec
from listings.models import (
    Credential,
    CredentialKind,
    Kind,
    Listing,
    Run,
    SourceKind,
    Team,
    Upload,
    UploadPurpose,
    Version,
)
from listings.queries.changes import source_changes
from listings.reports import StepReport
from listings.services import credentials, standing_sources, versions
from listings.services import listings as listing_service
from listings.services.origins import Origin
from tests import flow
from tests.pages.test_new_version import Inputs, typed, url_of
from tests.pages.test_sources_pages import SECRET, error_at, make, text
from tests.unit.spec_fixtures import ALGORITHM

pytestmark = pytest.mark.django_db
GIT = "https://git.example.com/acme/trees.git"
COMMIT = "4f2a9c17" * 5
SHA = "sha256:" + "0a" * 32


def git_data(**more: Any) -> dict[str, Any]:
    given = {"source_kind": "git", "git_url": GIT, "git_ref": "v1.0.0", "directory": "trees"}
    return {"number": "1.0.0", "spec_origin": "source", "notes": "From Git."} | given | more


def bundle_of(user: Any, team: Team) -> Upload:
    return versions.store_upload(user, team, UploadPurpose.BUNDLE, "bundle.zip", BytesIO(b"bundle"), 6)


@pytest.fixture
def package(seller: Any, team: Team) -> Listing:
    return listing_service.create_listing(seller, team, kind=Kind.MODEL_PACKAGE, name="Churn", product_id="")


@pytest.fixture
def token(seller: Any, team: Team) -> Credential:
    return make(seller, team)


def test_a_version_from_git(signed_in: Client, listing: Listing, token: Credential) -> None:
    answer = signed_in.post(url_of(listing), git_data(git_credential=str(token.pk)))
    version = Version.objects.get()
    assert answer.status_code == 302
    assert (version.source_kind, version.source, version.spec) == (SourceKind.GIT, None, None)
    assert (version.git_url, version.git_ref, version.directory) == (GIT, "v1.0.0", "trees")
    assert version.credential == token
    assert Run.objects.get().version == version
    page = text(signed_in.get(answer.headers["Location"]))
    for said in (f'href="{GIT.removesuffix(".git")}"', "v1.0.0", "trees", "known when it is fetched", token.name):
        assert said in page


def test_a_version_from_git_specified_here(signed_in: Client, seller: Any, listing: Listing) -> None:
    url, key = "git@git.example.com:acme/trees.git", make(seller, listing.team, CredentialKind.SSH_KEY)
    data = typed(spec.parse(ALGORITHM), None, source_kind="git", git_url=url, git_credential=str(key.pk))
    assert signed_in.post(url_of(listing), data).status_code == 302
    version = Version.objects.get()
    assert version.spec == spec.parse(ALGORITHM).as_json()
    assert (version.git_url, version.git_ref) == ("git@git.example.com:acme/trees.git", "")


def test_a_version_from_an_image(signed_in: Client, seller: Any, package: Listing) -> None:
    password = make(seller, package.team, CredentialKind.REGISTRY, host="registry.example.com:5000")
    data = {
        "number": "1.0.0", "spec_origin": "source", "source_kind": "image",
        "image_reference": "registry.example.com:5000/acme/churn:1.4", "image_credential": str(password.pk),
        "bundle_file": SimpleUploadedFile("bundle.zip", b"bundle"),
        "artifact_file": SimpleUploadedFile("model.tar.gz", b"model"),
    }  # fmt: skip
    answer = signed_in.post(url_of(package), data)
    version = Version.objects.get()
    assert answer.status_code == 302
    assert version.image_reference == "registry.example.com:5000/acme/churn:1.4"
    assert (version.source.purpose, version.artifact.filename) == ("bundle", "model.tar.gz")  # type: ignore[union-attr]
    assert version.credential == password
    page = text(signed_in.get(answer.headers["Location"]))
    assert "registry.example.com:5000/acme/churn:1.4" in page
    assert "bundle.zip" in page


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"git_url": ""}, "git_url", "Enter the repository"),
        ({"git_url": "file:///srv"}, "git_url", "ADDRESS-SCHEME"),
        ({"git_ref": "--upload-pack=x"}, "git_ref", "ADDRESS-REF"),
        ({"directory": "/etc"}, "directory", "ADDRESS-DIRECTORY"),
        ({"git_url": "https://elsewhere.example/a"}, "git_credential", "CREDENTIAL-HOST"),
        ({"git_url": "git@git.example.com:a/b"}, "git_credential", "CREDENTIAL-KIND"),
        ({"number": "one"}, "number", "VERSION-NUMBER"),
        ({"source_kind": "image", "image_reference": "a b"}, "image_reference", "ADDRESS-IMAGE"),
        ({"source_kind": "image", "image_reference": "a/b", "bundle_id": ""}, "bundle_file", "Choose the companion"),
        ({"source_kind": "upload"}, "source_file", "Choose the build context"),
    ],
)
def test_a_problem_stands_at_its_field_and_everything_stays(
    signed_in: Client, seller: Any, package: Listing, token: Credential, wrong: dict[str, str], field: str, says: str
) -> None:
    artifact = versions.store_upload(seller, package.team, UploadPurpose.ARTIFACT, "m.tar.gz", BytesIO(b"m"), 1)
    kept = {"bundle_id": str(bundle_of(seller, package.team).pk), "artifact_id": str(artifact.pk)}
    data = git_data(git_credential=str(token.pk), image_reference="", **kept) | wrong
    answer = signed_in.post(url_of(package), data)
    page = text(answer)
    shown = Inputs(page).values
    assert answer.status_code == 422
    assert says in error_at(page, field)
    for name in ("number", "git_url", "git_ref", "directory", "image_reference", "bundle_id", "artifact_id"):
        assert shown[name] == data[name], name
    assert shown["notes"].strip() == "From Git."
    assert f'value="{token.pk}" selected' in page
    assert f'value="{data["source_kind"]}" checked' in page
    assert not Version.objects.exists()


def test_an_ssh_address_asks_for_its_key(signed_in: Client, listing: Listing) -> None:
    answer = signed_in.post(url_of(listing), git_data(git_url="git@git.example.com:a/b"))
    page = text(answer)
    assert answer.status_code == 422
    assert "ssh needs a deploy key" in error_at(page, "git_credential")
    assert Inputs(page).values["git_url"] == "git@git.example.com:a/b"
    assert not Version.objects.exists()


def test_a_bundle_that_came_with_a_faulty_form_is_kept(signed_in: Client, listing: Listing) -> None:
    data = {"source_kind": "image", "image_reference": "a/b:1", "number": "one", "spec_origin": "source"}
    answer = signed_in.post(url_of(listing), data | {"bundle_file": SimpleUploadedFile("b.zip", b"b")})
    kept = Upload.objects.get()
    assert answer.status_code == 422
    assert Inputs(answer).values["bundle_id"] == str(kept.pk)
    again = signed_in.post(url_of(listing), data | {"number": "1.0.0", "bundle_id": str(kept.pk)})
    assert again.status_code == 302
    assert Version.objects.get().source == kept


@pytest.mark.parametrize("more", ["", "training.MetricDefinitions"])
def test_a_secret_in_an_address_never_comes_back(signed_in: Client, listing: Listing, more: str) -> None:
    data = git_data(
        git_url=f"https://x:{SECRET}@git.example.com/a", image_reference=f"u:{SECRET}@r.example/a", more=more
    )
    page = text(signed_in.post(url_of(listing), data))
    assert "ADDRESS-SECRET" in error_at(page, "git_url")
    assert Inputs(page).values["git_url"] == "https://git.example.com/a"
    assert not Version.objects.exists()


def test_the_form_begins_with_the_standing_source(
    signed_in: Client, seller: Any, listing: Listing, package: Listing, token: Credential
) -> None:
    origin = Origin(SourceKind.GIT, git_url=GIT, git_ref="main", directory="trees", credential=token)
    standing_sources.save(seller, listing, origin)
    page = text(signed_in.get(url_of(listing)))
    shown = Inputs(page).values
    assert [shown[name] for name in ("git_url", "git_ref", "directory")] == [GIT, "main", "trees"]
    assert 'value="git" checked' in page
    assert f'value="{token.pk}" selected' in page
    assert shown["number"] == "1.0.0"
    bundle = bundle_of(seller, package.team)
    standing_sources.save(seller, package, Origin(SourceKind.IMAGE, bundle, image_reference="a/b:1"))
    page = text(signed_in.get(url_of(package)))
    assert Inputs(page).values["bundle_id"] == str(bundle.pk)
    assert Inputs(page).values["image_reference"] == "docker.io/a/b:1"
    assert 'value="image" checked' in page


def test_what_is_typed_wins_over_the_standing_source(signed_in: Client, seller: Any, listing: Listing) -> None:
    standing_sources.save(seller, listing, Origin(SourceKind.GIT, git_url=GIT, git_ref="main"))
    assert signed_in.post(url_of(listing), git_data(git_ref="", directory="")).status_code == 302
    assert (Version.objects.get().git_ref, Version.objects.get().directory) == ("", "")


@pytest.mark.parametrize("name", ["git_credential", "image_credential"])
def test_credentials_of_other_teams_are_neither_offered_nor_taken(
    signed_in: Client, seller: Any, listing: Listing, make_user: Any, name: str
) -> None:
    from listings.services import teams

    stranger = make_user("stranger")
    kind = CredentialKind.TOKEN if name == "git_credential" else CredentialKind.REGISTRY
    theirs = make(stranger, teams.create_team(stranger, "Others"), kind, name="Theirs")
    assert str(theirs.pk) not in text(signed_in.get(url_of(listing)))
    source_kind = "git" if name == "git_credential" else "image"
    data = git_data(source_kind=source_kind, image_reference="git.example.com/a:1", **{name: str(theirs.pk)})
    data["bundle_id"] = str(bundle_of(seller, listing.team).pk)
    page = text(signed_in.post(url_of(listing), data))
    assert "valid choice" in error_at(page, name)
    assert "Theirs" not in page
    assert not Version.objects.exists()


def made(user: Any, listing: Listing, number: str, origin: Origin) -> Version:
    return versions.create_version(user, listing, number=number, source=origin)


def test_a_versions_page_shows_commit_and_branch(signed_in: Client, seller: Any, listing: Listing) -> None:
    origin = Origin(SourceKind.GIT, git_url=GIT, git_ref="main", git_commit=COMMIT, git_branch="main")
    version = made(seller, listing, "1.0.0-main.1", origin)
    address = f"/t/{listing.team.slug}/listings/{listing.slug}/versions/{version.number}/"
    for _ in ("draft", "submitted"):
        page = text(signed_in.get(address))
        assert f'data-copy="{COMMIT}"' in page
        assert "<dt>Branch</dt>" in page
        if version.state == "draft":
            versions.submit_version(seller, version)


def test_a_versions_page_shows_the_image_and_what_it_became(signed_in: Client, seller: Any, listing: Listing) -> None:
    origin = Origin(SourceKind.IMAGE, bundle_of(seller, listing.team), image_reference="docker.io/a/b:1")
    run = versions.submit_version(seller, made(seller, listing, "1.0.0", origin))
    image = {
        "source_digest": SHA,
        "index_digest": f"sha256:{'1b' * 32}",
        "digest": f"sha256:{'2c' * 32}",
        "converted": True,
    }
    facts = {"archive_sha256": "0" * 64, "spec": spec.parse(ALGORITHM).as_json(), "image": image}
    flow.end(run, "fetch", StepReport(facts))
    page = text(signed_in.get(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/1.0.0/"))
    for digest in (image["source_digest"], image["index_digest"], image["digest"]):
        assert f'data-copy="{digest}"' in page
    assert "converted to the format" in page


def test_what_differs_in_the_source_of_two_versions(seller: Any, listing: Listing, upload: Upload) -> None:
    bundle = bundle_of(seller, listing.team)

    def git(number: str, **more: Any) -> Version:
        return made(seller, listing, number, Origin(SourceKind.GIT, **{"git_url": GIT, "git_commit": COMMIT} | more))

    def image(number: str, reference: str, digest: str) -> Version:
        origin = Origin(SourceKind.IMAGE, bundle, image_reference=reference, image_digest=digest)
        return made(seller, listing, number, origin)

    def rows(old: Version, new: Version) -> list[tuple[str, str, str]]:
        return [(row.label, row.before, row.after) for row in source_changes(old, new)]

    first, second = git("1.0.0"), git("1.1.0", git_commit="b" * 40, directory="x")
    assert rows(first, second) == [("Directory", "/", "x"), ("Commit", COMMIT[:12], "b" * 12)]
    assert rows(first, git("1.2.0", git_ref="other")) == []
    old = image("2.0.0", "r.example:5000/a/b:1", SHA)
    assert rows(old, image("2.1.0", f"r.example:5000/a/b:2@{SHA}", SHA)) == []
    other = f"sha256:{'f' * 64}"
    assert rows(old, image("2.2.0", "r.example:5000/a/c:1", other)) == [
        ("Image", "r.example:5000/a/b", "r.example:5000/a/c"),
        ("Digest at its registry", SHA[:19], other[:19]),
    ]
    assert rows(made(seller, listing, "3.0.0", Origin.uploaded(upload)), first) == [
        ("Source", "Upload: context.tar.gz", f"Git: {GIT}")
    ]


def test_a_credential_that_a_version_used_may_go(signed_in: Client, seller: Any, listing: Listing) -> None:
    token = make(seller, listing.team)
    made(seller, listing, "1.0.0", Origin(SourceKind.GIT, git_url=GIT, credential=token))
    credentials.delete(seller, token, although_used=True)
    page = text(signed_in.get(f"/t/{listing.team.slug}/listings/{listing.slug}/versions/1.0.0/"))
    assert GIT in page
