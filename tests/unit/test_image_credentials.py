"""Plaintext credentials are found wherever an image can hold them, and never kept or shown."""

from __future__ import annotations

import json

import pytest

from listings.reports import CheckOutcome
from tests.image_fixtures import FAIL, PASS, WARN, Item, checks, image, layered
from tests.images_by_hand import file, program
from workers.images.checks.secrets import checks as secret_checks
from workers.images.checks.subject import Subject

TRAIN = program("bin/train")
# Made of pieces, so that no scanner takes this file for a leak.
KEY_ID, SECRET_KEY = "AKIA" + "Q7RPLMVXW2ZK4TNB", "w9Zk" + "3vQ8Lr/TfYb1+HsXe6Ou" + "PdJm2Cg5Ni7Wq0Va"
GITHUB, HUGGING_FACE = "ghp_" + "Zk4TnBq7RpLmVxW2" * 3, "hf_" + "QrLmVxWzKtNbZpGh" * 3
AWS_FILE = f"[default]\naws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET_KEY}\n".encode()
PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def outcomes(*items: Item, history: tuple[str, ...] = (), **config: object) -> tuple[CheckOutcome, CheckOutcome]:
    found = checks(image(TRAIN, *items, history=history, **config))
    return found["IMAGE-SECRET"].outcome, found["IMAGE-SECRET-SUSPECTED"].outcome


@pytest.mark.parametrize("item", [
    file("root/.aws/credentials", AWS_FILE), file("root/.netrc", b"machine example.com login me password secretly\n"),
    file("home/app/.docker/config.json", json.dumps({"auths": {"x": {"auth": "dXNlcjpwYXNzd29yZA=="}}}).encode()),
    file("root/.npmrc", b"//registry.example.com/:_authToken=abcdef0123456789\n"),
    file("root/.pypirc", b"[pypi]\nusername = me\npassword = secretly\n"), file("app/.env", f"T={GITHUB}\n".encode()),
    file("root/.cache/huggingface/token", b"anything"),
    file("root/.config/kaggle.json", b'{"key":"' + b"ab" * 16 + b'"}'),
    file("app/main.py", f'TOKEN = "{HUGGING_FACE}"\n'.encode()),
    program("bin/serve", f"#!/bin/sh\nexport AWS_SECRET_ACCESS_KEY={SECRET_KEY}\n".encode()),
])  # fmt: skip
def test_credentials_in_files_fail(item: Item) -> None:
    assert outcomes(item) == (FAIL, PASS)


@pytest.mark.parametrize("item", [
    file("root/.ssh/id_rsa", PRIVATE), file("root/.aws/config", f"id = {KEY_ID}\n".encode()),
    file("root/.config/pip/pip.conf", b"[global]\nindex-url = https://me:secretly@packages.internal/simple\n"),
])  # fmt: skip
def test_what_may_be_meant_to_be_there_warns(item: Item) -> None:
    assert outcomes(item) == (PASS, WARN)


@pytest.mark.parametrize("item", [
    file("root/.aws/config", b"[default]\nregion = eu-central-1\n"), file("root/.npmrc", b"_authToken=${NPM_TOKEN}\n"),
    file("root/.aws/credentials", b"aws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"),
    file("app/.env", b"MODE=production\n"),
    file("root/.docker/config.json", b"{}"), file("root/.ssh/known_hosts", PRIVATE),
    file("usr/lib/python3/dist-packages/x/test.py", f"{GITHUB}".encode()), file("root/.netrc", b"# empty\n"),
])  # fmt: skip
def test_what_is_no_credential(item: Item) -> None:
    assert outcomes(item) == (PASS, PASS)


@pytest.mark.parametrize(("name", "value", "expected"), [
    ("GITHUB_TOKEN", GITHUB, (FAIL, PASS)), ("ANY", HUGGING_FACE, (FAIL, PASS)),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY, (FAIL, PASS)), ("AWS_ACCESS_KEY_ID", KEY_ID, (PASS, WARN)),
    ("DB_PASSWORD", "correct horse battery", (PASS, WARN)), ("API_KEY", "0a1b2c3d4e5f", (PASS, WARN)),
    ("DB_PASSWORD", "", (PASS, PASS)), ("API_KEY_FILE", "/run/secrets/key", (PASS, PASS)),
    ("SECRET", "/run/secrets/key", (PASS, PASS)), ("TOKENIZERS_PARALLELISM", "false", (PASS, PASS)),
    ("MAX_TOKENS", "20480000", (PASS, PASS)), ("USE_TOKEN", "false", (PASS, PASS)), ("TOKEN", "${TOKEN}", (PASS, PASS)),
    ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D", (PASS, PASS)),
])  # fmt: skip
def test_variables_and_labels(name: str, value: str, expected: tuple[CheckOutcome, CheckOutcome]) -> None:
    assert outcomes(Env=[f"{name}={value}"]) == expected
    assert outcomes(Labels={name: value}) == expected


def test_build_arguments_and_commands_stay_in_the_history() -> None:
    assert outcomes(history=(f"RUN |1 TOKEN={GITHUB} /bin/sh -c pip install x # buildkit",)) == (FAIL, PASS)
    assert outcomes(history=(f"/bin/sh -c git clone https://x:{GITHUB}@github.com/a/b",)) == (FAIL, PASS)
    assert outcomes(history=("ARG PASSWORD=correct-horse",)) == (PASS, WARN)
    assert outcomes(history=("ARG PASSWORD", "RUN make TOKEN=$TOKEN")) == (PASS, PASS)


def test_file_that_a_later_line_removes_is_still_told() -> None:
    made = layered([[TRAIN, file("root/.aws/credentials", AWS_FILE)], [file("root/.aws/.wh.credentials")]],
                   ["COPY . /", "RUN rm /root/.aws/credentials"])  # fmt: skip
    (evidence,) = checks(made)["IMAGE-SECRET"].evidence
    assert evidence.text.startswith("/root/.aws/credentials:3: an AWS secret access key (removed or replaced")
    assert evidence.label == "COPY . /"


def test_values_are_neither_kept_nor_shown() -> None:
    made = image(
        TRAIN, file("root/.aws/credentials", AWS_FILE), Env=[f"TOKEN={GITHUB}"],
        history=(f"RUN git clone https://x:{GITHUB}@github.com/a/b",),
    )  # fmt: skip
    said = json.dumps(
        [[evidence.as_json() for evidence in check.evidence] for check in secret_checks(Subject(made, ("train",)))]
    )
    kept = json.dumps(made.layers[0].facts.as_json())
    for secret in (SECRET_KEY, KEY_ID, GITHUB):
        assert secret not in said
        assert secret not in kept
