"""Credentials: made, rotated, forgotten; sealed at rest; nothing secret in the journal or in any error."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from pydantic import SecretStr

from listings import sshkeys
from listings.models import (
    AuditEvent,
    Credential,
    CredentialKind,
    Listing,
    ListingSource,
    Provider,
    Role,
    SourceKind,
    Team,
    Version,
    Webhook,
)
from listings.problems import ProblemError
from listings.services import credentials, resealing, teams, versions
from listings.services.origins import Origin

pytestmark = pytest.mark.django_db
SECRET = "ghp_Th1sIsAS3cr3t"
TOKEN, KEY, REGISTRY = CredentialKind.TOKEN, CredentialKind.SSH_KEY, CredentialKind.REGISTRY


def make(user: Any, team: Team, kind: CredentialKind = TOKEN, **more: Any) -> Credential:
    given = {"name": f"A {kind.label}", "host": "git.example.com", "secret": "" if kind == KEY else SECRET} | more
    if kind == REGISTRY:
        given.setdefault("username", "puller")
    return credentials.create(user, team, kind=kind, **given)


def refused(code: str, call: Any, *args: Any, **given: Any) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call(*args, **given)
    assert caught.value.code == code
    assert SECRET not in str(caught.value) + json.dumps(dict(caught.value.report.params))
    return caught.value


def journal() -> str:
    return json.dumps([[event.action, event.subject, event.data] for event in AuditEvent.objects.all()])


@pytest.mark.parametrize("kind", [TOKEN, REGISTRY])
def test_a_secret_is_sealed_and_only_the_worker_opens_it(seller: Any, team: Team, kind: CredentialKind) -> None:
    made = Credential.objects.get(pk=make(seller, team, kind).pk)
    assert made.reveal() == SECRET
    assert SECRET not in json.dumps({field.name: str(getattr(made, field.name)) for field in Credential._meta.fields})
    assert SECRET not in journal()
    event = AuditEvent.objects.get(action="credential.create")
    assert event.data == {"kind": kind, "host": "git.example.com"}


def test_a_sealed_secret_opens_in_its_own_row_only(seller: Any, team: Team) -> None:
    one, other = make(seller, team), make(seller, team, name="Other", secret="else")
    Credential.objects.filter(pk=other.pk).update(sealed=one.sealed)
    other.refresh_from_db()
    refused("SECRET-UNREADABLE", other.reveal)


def test_a_deploy_key_is_made_here_and_ssh_takes_it(seller: Any, team: Team, tmp_path: Path) -> None:
    made = make(seller, team, KEY)
    path = tmp_path / "key"
    path.write_text(made.reveal())
    path.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", path], check=True, capture_output=True, text=True).stdout
    assert made.public_key.split()[:2] == public.split()[:2]
    assert made.public_key.startswith("ssh-ed25519 ")
    assert made.public_key.endswith(" slipway-acme-vision-A-Deploy-key")
    shown = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True).stdout
    assert sshkeys.fingerprint(made.public_key) in shown
    assert sshkeys.fingerprint(made.public_key) in journal()
    assert "PRIVATE KEY" not in journal()


def _pem(key: Any, form: PrivateFormat = PrivateFormat.OpenSSH, lock: Any = None) -> str:
    return str(key.private_bytes(Encoding.PEM, form, lock or NoEncryption()).decode())


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
@pytest.mark.parametrize("form", [PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_own_key_is_taken_however_it_was_copied(seller: Any, team: Team, form: PrivateFormat, ending: str) -> None:
    pasted = "\r\n".join(_pem(ec.generate_private_key(ec.SECP256R1()), form).splitlines()) + ending
    made = make(seller, team, KEY, secret=pasted)
    assert made.reveal().startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert made.public_key.startswith("ecdsa-sha2-nistp256 ")


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("AAAA", "does not begin with"),
        ("ssh-ed25519 AAAAC3Nz you@here", "does not begin with"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----", "damaged"),
        (lambda: _pem(ed25519.Ed25519PrivateKey.generate(), lock=BestAvailableEncryption(b"x")), "passphrase"),
        (lambda: _pem(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (lambda: _pem(dsa.generate_private_key(1024), PrivateFormat.PKCS8), "no longer used"),
        (lambda: _pem(ec.generate_private_key(ec.SECP256K1()), PrivateFormat.PKCS8), "curve"),
    ],
)
def test_keys_that_cannot_be_used_are_told_apart(seller: Any, team: Team, pasted: Any, says: str) -> None:
    text = pasted() if callable(pasted) else pasted
    error = refused("CREDENTIAL-KEY", make, seller, team, KEY, secret=text)
    assert says in error.report.params["detail"]
    assert text.splitlines()[-1] not in str(error)
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("kind", "given", "code"),
    [
        (TOKEN, {"name": " "}, "CREDENTIAL-NAME"), (TOKEN, {"name": "n" * 81}, "CREDENTIAL-NAME"),
        (TOKEN, {"host": "a b"}, "ADDRESS-HOST"), (TOKEN, {"host": f"https://x:{SECRET}@h.example"}, "ADDRESS-SECRET"),
        (TOKEN, {"secret": " "}, "CREDENTIAL-NO-SECRET"), (TOKEN, {"secret": f"{SECRET} x"}, "CREDENTIAL-SECRET"),
        (TOKEN, {"secret": f"{SECRET}\nHeader: x"}, "CREDENTIAL-SECRET"),
        (TOKEN, {"secret": "s" * 9000}, "CREDENTIAL-SECRET"),
        (TOKEN, {"username": "a:b"}, "CREDENTIAL-USERNAME"), (REGISTRY, {"username": ""}, "CREDENTIAL-USERNAME"),
        (KEY, {"known_hosts": "nonsense"}, "CREDENTIAL-KNOWN-HOSTS"),
    ],
)  # fmt: skip
def test_what_is_refused(seller: Any, team: Team, kind: CredentialKind, given: dict[str, Any], code: str) -> None:
    refused(code, make, seller, team, kind, **given)
    assert not Credential.objects.exists()


def test_a_registrys_password_may_have_spaces(seller: Any, team: Team) -> None:
    assert make(seller, team, REGISTRY, secret=" two words ").reveal() == "two words"


def test_names_are_a_teams_own(seller: Any, team: Team) -> None:
    make(seller, team, name="Host")
    refused("CREDENTIAL-NAME", make, seller, team, name="Host")
    assert make(seller, teams.create_team(seller, "Others"), name="Host").name == "Host"


@pytest.mark.parametrize(
    ("kind", "typed", "host"),
    [
        (TOKEN, "https://GitHub.com/acme/churn", "github.com"), (KEY, "git.example.com:22", "git.example.com"),
        (KEY, "git@github.com:acme/churn.git", "github.com"), (REGISTRY, "index.docker.io", "docker.io"),
    ],
)  # fmt: skip
def test_hosts_are_kept_in_plain_form(seller: Any, team: Team, kind: CredentialKind, typed: str, host: str) -> None:
    assert make(seller, team, kind, host=typed).host == host


@pytest.mark.parametrize(("host", "name"), [("bitbucket.org", "x-token-auth"), ("gitlab.com", "oauth2")])
def test_a_token_without_a_user_name_gets_the_hosts_own(seller: Any, team: Team, host: str, name: str) -> None:
    assert make(seller, team, host=host).username == name


def test_rotating_puts_a_new_secret_in_place(seller: Any, team: Team) -> None:
    token, key = make(seller, team), make(seller, team, KEY)
    before = key.public_key, key.reveal()
    credentials.rotate(seller, token, secret="another")
    credentials.rotate(seller, key)
    token.refresh_from_db()
    key.refresh_from_db()
    assert token.reveal() == "another"
    assert key.public_key != before[0]
    assert key.reveal() != before[1]
    assert token.rotated_at
    assert "another" not in journal()
    refused("CREDENTIAL-NO-SECRET", credentials.rotate, seller, token, secret="")
    assert Credential.objects.get(pk=token.pk).reveal() == "another"


def test_owners_change_credentials_and_nobody_else(seller: Any, team: Team, make_user: Any) -> None:
    made = make(seller, team, KEY)
    developer = make_user("dev")
    teams.add_member(seller, team, developer.email, Role.RELEASER)
    for user in (developer, make_user("stranger"), make_user("boss", is_staff=True)):
        for verb in (
            lambda user=user: make(user, team, name="x"),
            lambda user=user: credentials.rotate(user, made),
            lambda user=user: credentials.set_known_hosts(user, made, ""),
            lambda user=user: credentials.delete(user, made),
        ):
            with pytest.raises(PermissionDenied):
                verb()
    assert Credential.objects.count() == 1


def _used(seller: Any, listing: Listing) -> tuple[Credential, Credential]:
    """A key that a standing source and a draft use, and a token that only reports."""
    key = make(seller, listing.team, KEY)
    token = make(seller, listing.team)
    url = "git@git.example.com:a/b.git"
    ListingSource.objects.create(
        listing=listing, kind=SourceKind.GIT, git_url=url, credential=key, status_credential=token
    )
    versions.create_version(seller, listing, number="1.0.0", source=Origin(SourceKind.GIT, git_url=url, credential=key))
    return key, token


def test_where_a_credential_is_used(seller: Any, listing: Listing) -> None:
    key, token = _used(seller, listing)
    assert [use.label for use in credentials.uses_of(key)] == ["the source of Decision trees", "Decision trees 1.0.0"]
    assert [use.label for use in credentials.uses_of(token)] == ["the source of Decision trees"]
    run = versions.submit_version(seller, Version.objects.get())
    assert len(credentials.uses_of(key)) == 2
    type(run).objects.update(state="failed")
    assert len(credentials.uses_of(key)) == 1, "a run that ended needs it no longer"


def test_what_is_used_is_removed_knowingly_only(seller: Any, listing: Listing) -> None:
    key, _ = _used(seller, listing)
    error = refused("CREDENTIAL-IN-USE", credentials.delete, seller, key)
    assert "Decision trees 1.0.0" in error.report.params["where"]
    credentials.delete(seller, key, although_used=True)
    assert ListingSource.objects.get().credential is None
    assert Version.objects.get().credential is None
    event = AuditEvent.objects.get(action="credential.delete")
    assert event.data["was_used_by"] == ["the source of Decision trees", "Decision trees 1.0.0"]


def test_a_use_is_noted_at_most_once_a_minute(seller: Any, team: Team) -> None:
    made = make(seller, team)
    credentials.note_use(made)
    first = Credential.objects.get().used_at
    credentials.note_use(made)
    assert first is not None
    assert Credential.objects.get().used_at == first


def _host_key() -> str:
    return " ".join(sshkeys.generate("").public.split()[:2])


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("git.example.com", "git.example.com"), ("git.example.com", "git.example.com,192.0.2.7"),
        ("git.example.com:2222", "[git.example.com]:2222"), ("git.example.com", "*.example.com"),
        ("git.example.com", "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg="),
    ],
)  # fmt: skip
def test_host_keys_are_kept_without_comments(seller: Any, team: Team, host: str, named: str) -> None:
    made, key = make(seller, team, KEY, host=host), _host_key()
    credentials.set_known_hosts(seller, made, f"# {host}:22 SSH-2.0\n\n{named} {key} me@here\r\n{named} {key}\n")
    made.refresh_from_db()
    assert made.known_hosts == f"{named} {key}\n"
    assert [found.fingerprint for found in sshkeys.host_keys(made.known_hosts)] == [sshkeys.fingerprint(key)]
    assert sshkeys.fingerprint(key) in journal()
    credentials.set_known_hosts(seller, made, "")
    assert Credential.objects.get().known_hosts == ""


@pytest.mark.parametrize(
    ("named", "says"),
    [("other.example.com", "another host"), ("[git.example.com]:2222", "another host"), ("g*t.other", "another host")],
)
def test_host_keys_of_others_are_refused(seller: Any, team: Team, named: str, says: str) -> None:
    made = make(seller, team, KEY)
    error = refused("CREDENTIAL-KNOWN-HOSTS", credentials.set_known_hosts, seller, made, f"\n{named} {_host_key()}")
    assert error.report.params["detail"].startswith("Line 2 ")
    assert says in error.report.params["detail"]


def test_only_ssh_has_host_keys(seller: Any, team: Team) -> None:
    made = make(seller, team)
    refused("CREDENTIAL-KIND", credentials.set_known_hosts, seller, made, f"git.example.com {_host_key()}")


def test_host_keys_are_learned_once(seller: Any, team: Team) -> None:
    made = make(seller, team, KEY)
    first, second = _host_key(), _host_key()
    credentials.learn_host_keys(made, f"other.example {second}\ngit.example.com {first}\n")
    credentials.learn_host_keys(made, f"git.example.com {second}\n")
    assert Credential.objects.get().known_hosts == f"git.example.com {first}\n"
    event = AuditEvent.objects.get(action="credential.known_hosts")
    assert (event.actor, event.data["fingerprints"]) == (None, [sshkeys.fingerprint(first)])


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Any:
    """Sets the installation's encryption keys, newest first."""

    def use(*given: str) -> None:
        changed = settings.SLIPWAY.model_copy(update={"encryption_keys": SecretStr(",".join(given))})
        settings.SLIPWAY = changed

    return use


def test_every_secret_is_sealed_again_with_the_newest_key(
    seller: Any, listing: Listing, keys: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    keys(old)
    made = [make(seller, listing.team, name=f"n{index}", secret=f"s{index}") for index in range(5)]
    hook = Webhook(listing=listing, provider=Provider.GENERIC)
    hook.seal("hook")
    hook.previous_sealed = hook.sealed
    hook.save()
    keys(new, old)
    call_command("rotate_encryption_keys", batch=2)
    assert "7 secrets sealed" in capsys.readouterr().out
    keys(new)
    assert [Credential.objects.get(pk=row.pk).reveal() for row in made] == [f"s{index}" for index in range(5)]
    from listings import sealing

    hook.refresh_from_db()
    assert sealing.reveal(hook.sealed, str(hook.pk)) == sealing.reveal(hook.previous_sealed, str(hook.pk)) == "hook"
    assert AuditEvent.objects.get(action="encryption_keys.rotate").data == {"secrets": 7, "unreadable": 0}


def test_what_no_key_opens_is_named_and_left(seller: Any, team: Team, keys: Any) -> None:
    keys(Fernet.generate_key().decode())
    lost = make(seller, team, name="lost")
    new = Fernet.generate_key().decode()
    keys(new)
    kept = make(seller, team, name="kept")
    with pytest.raises(CommandError, match=str(lost.pk)):
        call_command("rotate_encryption_keys")
    assert Credential.objects.get(pk=kept.pk).reveal() == SECRET
    assert Credential.objects.get(pk=lost.pk).sealed == lost.sealed


def test_a_secret_that_changes_meanwhile_is_not_overwritten(
    seller: Any, team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(seller, team)
    from listings import sealing

    reseal = sealing.reseal

    def slowly(sealed: str) -> str:
        found = reseal(sealed)
        credentials.rotate(seller, Credential.objects.get(pk=made.pk), secret="newer")
        return found

    monkeypatch.setattr(sealing, "reseal", slowly)
    assert resealing.reseal_all().secrets == 0
    assert Credential.objects.get().reveal() == "newer"
