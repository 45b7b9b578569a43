"""The first admin comes from a command, with a password from standard input or by a link that works once."""

import io
import re

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from portal.accounts.models import User

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-enough-phrase"


def create(monkeypatch, *words, stdin=""):
    monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
    out = io.StringIO()
    call_command("createadmin", *words, stdout=out)
    return out.getvalue()


def sign_in(client, password):
    return client.post("/account/login/", {"login": "ops@example.com", "password": password})


def test_the_password_comes_from_standard_input_and_is_not_repeated(monkeypatch, client):
    said = create(monkeypatch, "Ops@example.com", "--name", "Ada Ops", stdin=f"{PASSWORD}\n")
    assert PASSWORD not in said
    user = User.objects.get()
    assert (user.email, user.full_name, user.is_staff) == ("ops@example.com", "Ada Ops", True)
    assert sign_in(client, PASSWORD).url == "/"
    assert client.get("/review/").status_code == 200


def test_a_second_time_changes_nothing_but_says_so(monkeypatch):
    create(monkeypatch, "ops@example.com", "--name", "Ada Ops", stdin=f"{PASSWORD}\n")
    said = create(monkeypatch, "OPS@example.com", stdin="another-long-phrase\n")
    assert "was there already" in said
    user = User.objects.get()
    assert user.check_password(PASSWORD)
    assert user.full_name == "Ada Ops"


def test_a_seller_becomes_an_admin_and_keeps_the_password(monkeypatch, client):
    User.objects.create_user("ops@example.com", PASSWORD, full_name="Sam Seller")
    create(monkeypatch, "ops@example.com")
    assert User.objects.get().is_staff
    assert sign_in(client, PASSWORD).url == "/"


def test_a_link_sets_the_password_once(monkeypatch, client):
    said = create(monkeypatch, "ops@example.com", "--link")
    path = re.search(r"https?://[^/]+(/\S+)", said)[1]
    page = client.get(path, follow=True)
    form = page.redirect_chain[-1][0]
    client.post(form, {"password1": PASSWORD, "password2": PASSWORD})
    assert sign_in(Client(), PASSWORD).url == "/"
    other = Client()
    again = other.get(path, follow=True)
    other.post(path, {"password1": "yet-another-phrase", "password2": "yet-another-phrase"})
    assert again.status_code == 200
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.parametrize(
    ("email", "password"), [("ops", PASSWORD), ("ops@example.com", "short"), ("ops@example.com", "")]
)
def test_what_cannot_be_an_account_is_refused(monkeypatch, email, password):
    with pytest.raises(CommandError):
        create(monkeypatch, email, stdin=f"{password}\n")
    assert not User.objects.exists()
