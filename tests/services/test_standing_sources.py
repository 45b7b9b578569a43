"""A listing's standing source: what is taken, what is refused, and that secrets go to their hosts only."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from listings.models import (
    AuditEvent,
    Credential,
    CredentialKind,
    Kind,
    Listing,
    ListingSource,
    Role,
    SourceKind,
    StatusProvider,
    Team,
    Upload,
    UploadPurpose,
)
from listings.problems import ProblemError
from listings.services import credentials, standing_sources, teams, versions
from listings.services import listings as listing_service
from listings.services.origins import Origin
from listings.services.standing_sources import Reporting

pytestmark = pytest.mark.django_db
TOKEN, KEY, REGISTRY = CredentialKind.TOKEN, CredentialKind.SSH_KEY, CredentialKind.REGISTRY
GIT = "https://git.example.com/acme/trees.git"


def credential(user: Any, team: Team, kind: CredentialKind, host: str = "git.example.com") -> Credential:
    secret = {} if kind == KEY else {"secret": "s3cr3t"}
    return credentials.create(user, team, kind=kind, name=f"{kind} {host}", host=host, username="user", **secret)


def uploaded(user: Any, team: Team, purpose: UploadPurpose = UploadPurpose.BUNDLE) -> Upload:
    return versions.store_upload(user, team, purpose, f"{purpose}.tar.gz", BytesIO(b"content"), 7)


def git(url: str = GIT, **more: Any) -> Origin:
    return Origin(SourceKind.GIT, git_url=url, **more)


@pytest.fixture
def package(seller: Any, team: Team) -> Listing:
    return listing_service.create_listing(seller, team, kind=Kind.MODEL_PACKAGE, name="Churn", product_id="")


def refused(code: str, user: Any, listing: Listing, origin: Origin, **more: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        standing_sources.save(user, listing, origin, **more)
    assert caught.value.code == code
    assert not ListingSource.objects.exists()
    return caught.value


def test_a_repository_is_kept_in_plain_form(seller: Any, listing: Listing, team: Team) -> None:
    token = credential(seller, team, TOKEN)
    origin = git(" HTTPS://Git.Example.com:443/acme/trees.git/ ", git_ref=" main ", directory="./models//trees/")
    standing_sources.save(seller, listing, Origin(**{**_fields(origin), "credential": token}))
    source = ListingSource.objects.get()
    assert (source.git_url, source.git_ref, source.directory) == (GIT, "main", "models/trees")
    assert (source.credential, source.updated_by) == (token, seller)
    event = AuditEvent.objects.get(action="listing.source")
    assert event.data["source"] == f"{GIT} main"
    assert event.data["credential"] == token.name
    assert "s3cr3t" not in json.dumps(event.data)


def _fields(origin: Origin) -> dict[str, Any]:
    return {name: getattr(origin, name) for name in Origin.__slots__}


def test_an_image_is_kept_with_its_bundle(seller: Any, package: Listing, team: Team) -> None:
    bundle, artifact = uploaded(seller, team), uploaded(seller, team, UploadPurpose.ARTIFACT)
    password = credential(seller, team, REGISTRY, "registry.example.com:5000")
    origin = Origin(
        SourceKind.IMAGE, bundle, image_reference="Registry.example.com:5000/acme/churn", credential=password
    )
    standing_sources.save(seller, package, origin, artifact=artifact)
    source = ListingSource.objects.get()
    assert source.image_reference == "registry.example.com:5000/acme/churn:latest"
    assert (source.bundle, source.artifact, source.credential) == (bundle, artifact, password)


def test_another_kind_leaves_nothing_of_the_old_one(seller: Any, listing: Listing, team: Team) -> None:
    token = credential(seller, team, TOKEN)
    reporting = Reporting(StatusProvider.GITLAB, "", token)
    standing_sources.save(seller, listing, git(git_ref="main", credential=token), reporting=reporting)
    image = Origin(SourceKind.IMAGE, uploaded(seller, team), image_reference="acme/trees:1")
    standing_sources.save(seller, listing, image)
    source = ListingSource.objects.get()
    assert (source.git_url, source.git_ref, source.credential, source.status_provider) == ("", "", None, "")
    assert source.image_reference == "docker.io/acme/trees:1"


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        (git("file:///etc"), "ADDRESS-SCHEME"), (git("https://u:p@git.example.com/a"), "ADDRESS-SECRET"),
        (git("http://git.example.com/a"), "ADDRESS-HTTP"), (git(git_ref="-x"), "ADDRESS-REF"),
        (git(directory="../x"), "ADDRESS-DIRECTORY"),
        (Origin(SourceKind.IMAGE, image_reference="acme/trees"), "SOURCE-NO-BUNDLE"),
        (Origin(SourceKind.IMAGE, image_reference="https://x/y"), "ADDRESS-IMAGE"),
    ],
)  # fmt: skip
def test_addresses_are_judged(seller: Any, listing: Listing, origin: Origin, code: str) -> None:
    refused(code, seller, listing, origin)


def test_http_is_for_hosts_that_the_operator_lists(seller: Any, listing: Listing, settings: Any) -> None:
    settings.SLIPWAY = settings.SLIPWAY.model_copy(update={"source_allow_hosts": "git.lan:3000"})
    standing_sources.save(seller, listing, git("http://git.lan:3000/a/b"))
    assert ListingSource.objects.get().git_url == "http://git.lan:3000/a/b"


@pytest.mark.parametrize(
    ("kind", "host", "url", "code"),
    [
        (TOKEN, "github.com", GIT, "CREDENTIAL-HOST"), (TOKEN, "example.com", GIT, "CREDENTIAL-HOST"),
        (TOKEN, "git.example.com:8443", GIT, "CREDENTIAL-HOST"),
        (TOKEN, "git.example.com", "https://git.example.com:8443/a", "CREDENTIAL-HOST"),
        (TOKEN, "git.example.com", "https://git.example.com.evil.example/a", "CREDENTIAL-HOST"),
        (KEY, "git.example.com", GIT, "CREDENTIAL-KIND"), (REGISTRY, "git.example.com", GIT, "CREDENTIAL-KIND"),
        (TOKEN, "git.example.com", "git@git.example.com:a/b", "CREDENTIAL-KIND"),
        (KEY, "git.example.com", "ssh://git@git.example.com:2222/a", "CREDENTIAL-HOST"),
    ],
)  # fmt: skip
def test_a_secret_goes_to_its_own_host_only(
    seller: Any, listing: Listing, team: Team, kind: CredentialKind, host: str, url: str, code: str
) -> None:
    refused(code, seller, listing, git(url, credential=credential(seller, team, kind, host)))


def test_a_registrys_password_is_for_that_registry(seller: Any, listing: Listing, team: Team) -> None:
    bundle = uploaded(seller, team)
    for kind, host, code in ((REGISTRY, "r.example", "CREDENTIAL-HOST"), (TOKEN, "docker.io", "CREDENTIAL-KIND")):
        secret = credential(seller, team, kind, host)
        refused(code, seller, listing, Origin(SourceKind.IMAGE, bundle, image_reference="a/b:1", credential=secret))
    hub = credential(seller, team, REGISTRY, "index.docker.io")
    standing_sources.save(seller, listing, Origin(SourceKind.IMAGE, bundle, image_reference="a/b:1", credential=hub))
    assert ListingSource.objects.get().credential == hub


def test_what_others_own_is_refused(seller: Any, listing: Listing, make_user: Any) -> None:
    stranger = make_user("stranger")
    other = teams.create_team(stranger, "Others")
    theirs = credential(stranger, other, TOKEN)
    refused("CREDENTIAL-UNKNOWN", seller, listing, git(credential=theirs))
    refused("CREDENTIAL-UNKNOWN", seller, listing, git(), reporting=Reporting(StatusProvider.GITLAB, "", theirs))
    bundle = uploaded(stranger, other)
    refused("UPLOAD-UNKNOWN", seller, listing, Origin(SourceKind.IMAGE, bundle, image_reference="a/b:1"))
    refused("UPLOAD-UNKNOWN", seller, listing, git(), artifact=bundle)


@pytest.mark.parametrize(
    ("provider", "url", "api", "host"),
    [
        ("gitlab", GIT, "", "git.example.com"),
        ("github", "git@github.com:a/b.git", "", "github.com"),
        ("github", "https://github.com/a/b", "", "api.github.com"),
        ("github", "https://github.com/a/b", "https://api.github.com", "github.com"),
        ("gitea", "ssh://git@git.example.com:2222/a/b", "", "git.example.com"),
        ("gitea", "ssh://git@git.example.com:2222/a/b", "https://web.example.com:3000/api/v1/", "web.example.com:3000"),
        ("bitbucket", "git@bitbucket.org:a/b.git", "", "bitbucket.org"),
    ],
)  # fmt: skip
def test_reporting(seller: Any, listing: Listing, team: Team, provider: str, url: str, api: str, host: str) -> None:
    token = credential(seller, team, TOKEN, host)
    standing_sources.save(seller, listing, git(url), reporting=Reporting(StatusProvider(provider), api, token))
    source = ListingSource.objects.get()
    assert (source.status_provider, source.status_url, source.status_credential) == (provider, api.rstrip("/"), token)


@pytest.mark.parametrize(
    ("provider", "url", "api", "host", "code"),
    [
        ("gitlab", GIT, "", "", "STATUS-CREDENTIAL"), ("gitlab", GIT, "", "gitlab.com", "CREDENTIAL-HOST"),
        ("gitlab", GIT, "https://evil.example/api", "git.example.com", "CREDENTIAL-HOST"),
        ("github", "https://github.com/a/b", "https://evil.example", "github.com", "CREDENTIAL-HOST"),
        ("bitbucket", GIT, "", "git.example.com", "STATUS-ADDRESS"),
        ("gitlab", GIT, "ftp://git.example.com", "git.example.com", "STATUS-ADDRESS"),
        ("gitlab", GIT, "ssh://git@git.example.com/api", "git.example.com", "STATUS-ADDRESS"),
        ("gitlab", GIT, "https://u:p@git.example.com/api", "git.example.com", "ADDRESS-SECRET"),
        ("gitlab", GIT, "http://git.example.com/api", "git.example.com", "ADDRESS-HTTP"),
    ],
)  # fmt: skip
def test_refused_reporting(
    seller: Any, listing: Listing, team: Team, provider: str, url: str, api: str, host: str, code: str
) -> None:
    token = credential(seller, team, TOKEN, host) if host else None
    refused(code, seller, listing, git(url), reporting=Reporting(StatusProvider(provider), api, token))


def test_reporting_needs_a_token_and_commits(seller: Any, listing: Listing, team: Team) -> None:
    key, token = credential(seller, team, KEY), credential(seller, team, TOKEN)
    refused("CREDENTIAL-KIND", seller, listing, git(), reporting=Reporting(StatusProvider.GITLAB, "", key))
    image = Origin(SourceKind.IMAGE, uploaded(seller, team), image_reference="a/b:1")
    refused("STATUS-GIT-ONLY", seller, listing, image, reporting=Reporting(StatusProvider.GITLAB, "", token))


def test_developers_set_it_and_viewers_do_not(seller: Any, listing: Listing, make_user: Any) -> None:
    developer, viewer = make_user("dev"), make_user("viewer")
    teams.add_member(seller, listing.team, developer.email, Role.DEVELOPER)
    teams.add_member(seller, listing.team, viewer.email, Role.VIEWER)
    standing_sources.save(developer, listing, git())
    for verb in (standing_sources.save, lambda user, listing, _: standing_sources.remove(user, listing)):
        with pytest.raises(PermissionDenied):
            verb(viewer, listing, git())
    standing_sources.remove(developer, listing)
    assert AuditEvent.objects.filter(action="listing.source_remove").count() == 1
    with pytest.raises(ProblemError, match="SOURCE-NOT-SET"):
        standing_sources.remove(developer, listing)


def test_an_archived_listing_takes_none(seller: Any, listing: Listing) -> None:
    listing_service.archive_listing(seller, listing)
    listing.refresh_from_db()
    refused("LISTING-ARCHIVED", seller, listing, git())
