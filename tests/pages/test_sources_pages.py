"""Pages of credentials and of a listing's standing source: what they show, keep, refuse, and never show."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from listings import sshkeys
from listings.models import (
    AuditEvent,
    Credential,
    CredentialKind,
    Kind,
    Listing,
    ListingSource,
    Role,
    SourceKind,
    Team,
    Upload,
    UploadPurpose,
)
from listings.services import credentials, standing_sources, teams, versions
from listings.services import listings as listing_service
from listings.services.origins import Origin

pytestmark = pytest.mark.django_db
SECRET = "S3cr3tThatNoPageShows"
GIT = "https://git.example.com/acme/trees.git"


def make(user: Any, team: Team, kind: CredentialKind = CredentialKind.TOKEN, **more: Any) -> Credential:
    given = {"name": f"My {kind.label}", "host": "git.example.com", "username": "bot"} | more
    secret = "" if kind == CredentialKind.SSH_KEY else SECRET
    return credentials.create(user, team, kind=kind, secret=secret, **given)


def url(name: str, team: Team, *more: Any) -> str:
    return reverse(name, args=[team.slug, *more])


def text(answer: HttpResponse) -> str:
    """The page; no secret is ever in it."""
    page = answer.content.decode()
    assert SECRET not in page
    assert "PRIVATE KEY-----\n" not in page
    return page


def error_at(page: str, field: str) -> str:
    found = re.search(rf'id="id_{field}-error".*?<span>(.*?)</span>', page, re.DOTALL)
    return found[1] if found else ""


def value(page: str, field: str) -> str:
    found = re.search(rf'<input[^>]*name="{field}"[^>]*>', page)
    shown = re.search(r'value="([^"]*)"', found[0]) if found else None
    return shown[1] if shown else ""


@pytest.fixture
def package(seller: Any, team: Team) -> Listing:
    return listing_service.create_listing(seller, team, kind=Kind.MODEL_PACKAGE, name="Churn", product_id="")


def test_a_team_without_credentials_is_taught_what_they_are(signed_in: Client, team: Team) -> None:
    page = text(signed_in.get(url("credentials", team)))
    assert "No credential yet" in page
    assert url("credential_new", team) in page


def test_the_list_says_what_each_is_and_where_it_is_used(signed_in: Client, seller: Any, listing: Listing) -> None:
    key = make(seller, listing.team, CredentialKind.SSH_KEY)
    make(seller, listing.team, CredentialKind.REGISTRY, host="registry.example.com:5000")
    standing_sources.save(
        seller, listing, Origin(SourceKind.GIT, git_url="git@git.example.com:a/b.git", credential=key)
    )
    page = text(signed_in.get(url("credentials", listing.team)))
    for said in ("My Deploy key", "registry.example.com:5000", "bot", "the source of Decision trees", "never"):
        assert said in page


@pytest.mark.parametrize("kind", ["token", "registry"])
def test_a_credential_is_made_and_its_page_shows_no_secret(signed_in: Client, team: Team, kind: str) -> None:
    data = {"kind": kind, "name": "Host", "host": "https://git.example.com/a", "username": "bot", "secret": SECRET}
    answer = signed_in.post(url("credential_new", team), data)
    made = Credential.objects.get()
    assert answer.headers["Location"] == url("credential", team, made.pk)
    assert (made.kind, made.host, made.reveal()) == (kind, "git.example.com", SECRET)
    page = text(signed_in.get(answer.headers["Location"]))
    assert "git.example.com" in page
    assert made.sealed not in page


def test_a_deploy_key_is_made_here_and_its_public_part_can_be_copied(signed_in: Client, team: Team) -> None:
    data = {"kind": "ssh_key", "name": "Key", "host": "github.com", "key_origin": "generate", "secret": SECRET}
    page = text(signed_in.post(url("credential_new", team), data, follow=True))
    made = Credential.objects.get()
    assert f'data-copy="{made.public_key}"' in page
    assert sshkeys.fingerprint(made.public_key) in page
    assert made.reveal().splitlines()[1] not in page


def test_an_own_key_is_taken(signed_in: Client, team: Team) -> None:
    pair = sshkeys.generate("mine")
    data = {
        "kind": "ssh_key", "name": "Key", "host": "github.com", "key_origin": "paste", "private_key": pair.private,
        "known_hosts": f"github.com {pair.public}",
    }  # fmt: skip
    page = text(signed_in.post(url("credential_new", team), data, follow=True))
    assert pair.public.split()[1] in page
    assert pair.private.splitlines()[1] not in page
    assert Credential.objects.get().known_hosts.startswith("github.com ssh-ed25519 ")


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"host": "not a host"}, "host", "ADDRESS-HOST"), ({"name": ""}, "name", "required"),
        ({"name": "Taken"}, "name", "CREDENTIAL-NAME"), ({"username": "a:b"}, "username", "CREDENTIAL-USERNAME"),
        ({"secret": f"{SECRET} {SECRET}"}, "secret", "CREDENTIAL-SECRET"),
        ({"secret": ""}, "secret", "Enter the token or password"),
        ({"kind": "ssh_key", "key_origin": "paste", "private_key": f"BEGIN {SECRET}"}, "private_key", "CREDENTIAL-KEY"),
        ({"kind": "ssh_key", "key_origin": "paste"}, "private_key", "Paste the private key"),
        ({"kind": "ssh_key", "known_hosts": "junk"}, "known_hosts", "CREDENTIAL-KNOWN-HOSTS"),
    ],
)  # fmt: skip
def test_an_error_keeps_all_that_was_typed_but_the_secret(
    signed_in: Client, seller: Any, team: Team, wrong: dict[str, str], field: str, says: str
) -> None:
    make(seller, team, name="Taken")
    data = {"kind": "token", "name": "New", "host": "git.example.com", "username": "bot", "secret": SECRET} | wrong
    answer = signed_in.post(url("credential_new", team), data)
    page = text(answer)
    assert answer.status_code == 422
    assert says in error_at(page, field)
    for name in ("name", "host", "username"):
        assert value(page, name) == data[name]
    assert data.get("known_hosts", "") in page
    assert ("The secret is not shown again" in page) == bool(data["secret"] or data.get("private_key"))
    assert Credential.objects.count() == 1


def test_rotating_on_the_page(signed_in: Client, seller: Any, team: Team) -> None:
    token, key = make(seller, team), make(seller, team, CredentialKind.SSH_KEY)
    before = key.public_key
    text(signed_in.post(url("credential_rotate", team, token.pk), {"secret": f"{SECRET}2"}, follow=True))
    page = text(signed_in.post(url("credential_rotate", team, key.pk), {"key_origin": "generate"}, follow=True))
    key.refresh_from_db()
    assert Credential.objects.get(pk=token.pk).reveal() == f"{SECRET}2"
    assert before not in page
    assert key.public_key in page
    wrong = signed_in.post(url("credential_rotate", team, token.pk), {"secret": f"{SECRET} 3"})
    assert wrong.status_code == 422
    assert "CREDENTIAL-SECRET" in error_at(text(wrong), "secret")


def test_host_keys_on_the_page(signed_in: Client, seller: Any, team: Team) -> None:
    key, public = make(seller, team, CredentialKind.SSH_KEY), sshkeys.generate("").public
    address = url("credential_known_hosts", team, key.pk)
    wrong = signed_in.post(address, {"known_hosts": f"other.example {public}"})
    assert wrong.status_code == 422
    assert f"other.example {public}" in text(wrong), "what was typed stays"
    page = text(signed_in.post(address, {"known_hosts": f"git.example.com {public}"}, follow=True))
    assert sshkeys.fingerprint(public) in page


def test_removing_says_where_it_is_used_and_asks_again(signed_in: Client, seller: Any, listing: Listing) -> None:
    token = make(seller, listing.team)
    standing_sources.save(seller, listing, Origin(SourceKind.GIT, git_url=GIT, credential=token))
    address = url("credential_delete", listing.team, token.pk)
    refused = signed_in.post(address)
    assert refused.status_code == 422
    assert "the source of Decision trees" in error_at(text(refused), "although_used")
    page = text(signed_in.post(address, {"although_used": "on"}, follow=True))
    assert "is removed" in page
    assert not Credential.objects.exists()
    assert ListingSource.objects.get().credential is None


def test_members_see_credentials_and_owners_change_them(
    client: Client, seller: Any, team: Team, make_user: Any
) -> None:
    made = make(seller, team, CredentialKind.SSH_KEY)
    viewer = make_user("viewer")
    teams.add_member(seller, team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    page = text(client.get(url("credential", team, made.pk)))
    assert made.public_key in page
    for action in ("credential_rotate", "credential_delete", "credential_known_hosts"):
        assert url(action, team, made.pk) not in page
        assert client.post(url(action, team, made.pk)).status_code == 403
    assert url("credential_new", team) not in text(client.get(url("credentials", team)))


def git_form(**more: Any) -> dict[str, Any]:
    return {"source_kind": "git", "git_url": GIT, "git_ref": "main", "directory": "models/trees"} | more


def test_a_listing_without_a_source_gets_one(signed_in: Client, seller: Any, listing: Listing) -> None:
    token = make(seller, listing.team)
    page = text(signed_in.get(url("listing_source", listing.team, listing.slug)))
    assert "Set a standing source" in page
    assert "My Access token: access token for git.example.com" in page
    data = git_form(git_credential=str(token.pk), status_provider="gitlab", status_credential=str(token.pk))
    page = text(signed_in.post(url("listing_source_save", listing.team, listing.slug), data, follow=True))
    source = ListingSource.objects.get()
    assert (source.git_url, source.git_ref, source.directory) == (GIT, "main", "models/trees")
    assert (source.credential, source.status_credential, source.status_provider) == (token, token, "gitlab")
    for said in (GIT, "models/trees", "GitLab", "Change it"):
        assert said in page


def test_an_image_with_its_bundle_and_artifact(signed_in: Client, package: Listing) -> None:
    data = {
        "source_kind": "image", "image_reference": "ghcr.io/acme/churn:1",
        "bundle_file": SimpleUploadedFile("bundle.zip", b"bundle"),
        "artifact_file": SimpleUploadedFile("model.tar.gz", b"model"),
    }  # fmt: skip
    page = text(signed_in.post(url("listing_source_save", package.team, package.slug), data, follow=True))
    source = ListingSource.objects.get()
    assert (source.image_reference, source.bundle.filename) == ("ghcr.io/acme/churn:1", "bundle.zip")  # type: ignore[union-attr]
    assert source.artifact is not None
    assert "bundle.zip" in page
    kept = source.bundle
    again = data | {"bundle_id": str(kept.pk), "artifact_id": "", "image_reference": "ghcr.io/acme/churn:2"}  # type: ignore[union-attr]
    del again["bundle_file"], again["artifact_file"]
    signed_in.post(url("listing_source_save", package.team, package.slug), again)
    source.refresh_from_db()
    assert (source.image_reference, source.bundle, source.artifact) == ("ghcr.io/acme/churn:2", kept, None)


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"git_url": ""}, "git_url", "Enter the repository"), ({"git_url": "ftp://x/y"}, "git_url", "ADDRESS-SCHEME"),
        ({"git_ref": "a b"}, "git_ref", "ADDRESS-REF"), ({"directory": "../x"}, "directory", "ADDRESS-DIRECTORY"),
        ({"git_url": "https://git.other/a"}, "git_credential", "CREDENTIAL-HOST"),
        ({"status_provider": "gitlab"}, "status_credential", "STATUS-CREDENTIAL"),
        ({"status_provider": "gitlab", "status_url": "https://evil.example/api"}, "status_credential", "STATUS-CRED"),
        ({"git_credential": "00000000-0000-0000-0000-000000000000"}, "git_credential", "valid choice"),
        ({"source_kind": "image"}, "image_reference", "Enter the image"),
        ({"source_kind": "image", "image_reference": "a/B"}, "image_reference", "ADDRESS-IMAGE"),
    ],
)  # fmt: skip
def test_an_error_stands_at_its_field_and_all_else_stays(
    signed_in: Client, seller: Any, listing: Listing, wrong: dict[str, str], field: str, says: str
) -> None:
    token = make(seller, listing.team)
    bundle = versions.store_upload(seller, listing.team, UploadPurpose.BUNDLE, "kept.zip", BytesIO(b"kept"), 4)
    data = git_form(git_credential=str(token.pk), bundle_id=str(bundle.pk)) | wrong
    answer = signed_in.post(url("listing_source_save", listing.team, listing.slug), data)
    page = text(answer)
    assert answer.status_code == 422
    assert says in error_at(page, field)
    for name in ("git_url", "git_ref", "directory", "image_reference", "status_url"):
        assert value(page, name) == data.get(name, "")
    if "git_credential" not in wrong:
        assert re.search(rf'value="{token.pk}"\s+selected', page)
    assert "kept.zip" in page
    assert not ListingSource.objects.exists()


def test_every_mistake_is_told_at_once(signed_in: Client, listing: Listing) -> None:
    data = git_form(git_url="ftp://x/y", git_ref="a b", directory="../x")
    page = text(signed_in.post(url("listing_source_save", listing.team, listing.slug), data))
    told = [error_at(page, name) for name in ("git_url", "git_ref", "directory")]
    assert [re.search(r"ADDRESS-[A-Z]+", said)[0] for said in told] == [  # type: ignore[index]
        "ADDRESS-SCHEME", "ADDRESS-REF", "ADDRESS-DIRECTORY",
    ]  # fmt: skip
    data = {"source_kind": "image", "image_reference": "a b"}
    page = text(signed_in.post(url("listing_source_save", listing.team, listing.slug), data))
    assert "ADDRESS-IMAGE" in error_at(page, "image_reference")
    assert "Choose the companion bundle" in error_at(page, "bundle_file")


@pytest.mark.parametrize("address", ["https://x:{}@git.example.com/a.git", "https://{}@git.example.com/a.git"])
def test_a_secret_in_an_address_is_refused_and_not_shown_again(
    signed_in: Client, listing: Listing, address: str
) -> None:
    data = git_form(git_url=address.format(SECRET))
    page = text(signed_in.post(url("listing_source_save", listing.team, listing.slug), data))
    assert "ADDRESS-SECRET" in error_at(page, "git_url")
    assert value(page, "git_url") == "https://git.example.com/a.git"
    assert not AuditEvent.objects.filter(action="listing.source").exists()


def test_the_source_is_removed(signed_in: Client, seller: Any, listing: Listing) -> None:
    standing_sources.save(seller, listing, Origin(SourceKind.GIT, git_url=GIT))
    page = text(signed_in.post(url("listing_source_remove", listing.team, listing.slug), follow=True))
    assert "Set a standing source" in page
    assert not ListingSource.objects.exists()


def test_viewers_and_archived_listings_have_no_form(
    client: Client, seller: Any, listing: Listing, make_user: Any
) -> None:
    standing_sources.save(seller, listing, Origin(SourceKind.GIT, git_url=GIT))
    viewer = make_user("viewer")
    teams.add_member(seller, listing.team, viewer.email, Role.VIEWER)
    client.force_login(viewer)
    address, save = (url(name, listing.team, listing.slug) for name in ("listing_source", "listing_source_save"))
    page = text(client.get(address))
    assert GIT in page
    assert save not in page
    assert client.post(save, git_form()).status_code == 403
    listing_service.archive_listing(seller, listing)
    client.force_login(seller)
    assert save not in text(client.get(address))


def test_pages_stay_within_their_budget(
    signed_in: Client, seller: Any, team: Team, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(6):
        listing = listing_service.create_listing(seller, team, kind=Kind.ALGORITHM, name=f"L {number}", product_id="")
        token = make(seller, team, name=f"Token {number}")
        standing_sources.save(seller, listing, Origin(SourceKind.GIT, git_url=GIT, credential=token))
        versions.create_version(
            seller, listing, number="1.0.0", source=Origin(SourceKind.GIT, git_url=GIT, credential=token)
        )
    budgets = {
        url("credentials", team): 14, url("credential", team, token.pk): 14,
        url("listing_source", team, listing.slug): 14,
    }  # fmt: skip
    for address, budget in budgets.items():
        with django_assert_max_num_queries(budget, info=address):
            assert signed_in.get(address).status_code == 200
    assert Upload.objects.count() == 0
