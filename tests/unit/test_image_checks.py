"""What can be said of an image before it runs: programs found as a container runtime finds them, and the rules."""

from __future__ import annotations

import pytest
from django.conf import settings

from listings.problems import get
from listings.reports import CheckOutcome
from tests.contract_rows import detects
from tests.image_fixtures import FAIL, PASS, SKIP, WARN, Item, checks, image, outcome
from tests.images_by_hand import ELF_ARM64, directory, file, program, symlink
from workers.images import Image, Layer
from workers.images.checks import Artifact, check_image, resolved
from workers.images.checks.platform import LARGE_BYTES
from workers.images.reader import instruction, layer_history


def test_good_image_passes_everything() -> None:
    made = image(program("usr/local/bin/train"), program("usr/local/bin/serve"))
    outcomes = {check.outcome for check in check_image(made, train=True, serve=True)}
    # Nothing is said of the text of programs that have none.
    assert outcomes == {PASS, SKIP}
    signs = {check.code for check in check_image(made, train=True, serve=True) if check.outcome is SKIP}
    assert signs == {"IMAGE-START-INSTALL", "IMAGE-START-NETWORK", "IMAGE-START-PROGRAM"}
    assert resolved(made, "train") == "/usr/local/bin/train"


def test_every_check_is_in_the_catalogue_with_its_texts() -> None:
    made = image(program("bin/sh"), Entrypoint=["/bin/sh", "-c", "x"])
    for check in check_image(made, train=True, serve=True):
        entry = get(check.code)
        assert entry.holds
        assert entry.remedy


@pytest.mark.parametrize("architecture", ["arm64", "386", ""])
@detects(3, "IMAGE-ARCH")
def test_other_machines_fail(architecture: str) -> None:
    assert outcome(image(program("bin/train"), architecture=architecture), "IMAGE-ARCH") is FAIL


@detects(1, "IMAGE-MEDIA-TYPE")
def test_oci_manifest_fails() -> None:
    made = image(program("bin/train"), media_type="application/vnd.oci.image.manifest.v1+json")
    assert outcome(made, "IMAGE-MEDIA-TYPE") is FAIL


def test_pipeline_needs_the_label_by_which_an_image_takes_a_port() -> None:
    label = {"com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true"}
    for labels, expected in ((label, PASS), ({}, FAIL)):
        found = check_image(image(program("bin/serve"), Labels=labels), train=False, serve=True, chained=True)
        check = next(check for check in found if check.code == "IMAGE-BIND-TO-PORT")
        assert check.outcome is expected
        assert bool(check.patch) == (expected is FAIL)
    assert "IMAGE-BIND-TO-PORT" not in checks(image(program("bin/serve")))


class TestTrain:
    @detects(5, "IMAGE-TRAIN")
    def test_missing_program_fails_and_says_what_to_add(self) -> None:
        check = checks(image(program("bin/sh")))["IMAGE-TRAIN"]
        assert check.outcome is FAIL
        assert "COPY train /usr/local/bin/train" in check.patch

    @detects(4, "IMAGE-SERVE")
    def test_missing_server_fails_likewise(self) -> None:
        found = checks(image(program("bin/sh")), train=False, serve=True)
        assert found["IMAGE-SERVE"].outcome is FAIL
        assert checks(image(program("bin/serve")), train=False, serve=True)["IMAGE-SERVE"].outcome is PASS

    def test_only_what_the_spec_asks_for_is_checked(self) -> None:
        found = checks(image(program("bin/serve")), train=False, serve=True)
        assert "IMAGE-TRAIN" not in found
        assert found["IMAGE-SERVE"].outcome is PASS

    def test_missing_executable_bit_fails_and_shows_the_mode(self) -> None:
        check = checks(image(file("usr/local/bin/train", b"#!/bin/sh\n")))["IMAGE-TRAIN"]
        assert check.outcome is FAIL
        assert check.evidence[0].text == "/usr/local/bin/train: mode 0644, not executable"
        assert check.evidence[0].label == "COPY . /"
        assert check.patch == "RUN chmod +x /usr/local/bin/train\n"

    def test_directory_of_that_name_is_no_program(self) -> None:
        assert outcome(image(directory("usr/local/bin/train")), "IMAGE-TRAIN") is FAIL

    def test_images_own_path_is_searched(self) -> None:
        made = image(program("opt/program/train"), Env=["PATH=/opt/program:/bin"])
        assert resolved(made, "train") == "/opt/program/train"

    def test_program_outside_path_is_not_found(self) -> None:
        assert outcome(image(program("opt/program/train")), "IMAGE-TRAIN") is FAIL

    def test_link_to_the_program_counts(self) -> None:
        made = image(program("opt/real"), symlink("usr/bin/train", "/opt/real"))
        assert outcome(made, "IMAGE-TRAIN") is PASS
        assert resolved(made, "train") == "/opt/real"

    @detects(7, "IMAGE-TRAIN")
    def test_cmd_does_not_help(self) -> None:
        assert outcome(image(program("bin/python"), Cmd=["python", "train.py"]), "IMAGE-TRAIN") is FAIL


class TestEntrypoint:
    def test_entrypoint_takes_the_argument(self) -> None:
        made = image(program("usr/bin/python3"), Entrypoint=["python3", "/opt/main.py"])
        assert outcome(made, "IMAGE-TRAIN") is PASS
        assert resolved(made, "train") == "/usr/bin/python3"

    def test_entrypoint_that_is_not_there_fails_once(self) -> None:
        made = image(program("bin/train"), Entrypoint=["/app/start"])
        found = checks(made)
        assert found["IMAGE-ENTRYPOINT"].outcome is FAIL
        assert found["IMAGE-TRAIN"].outcome is SKIP
        assert resolved(made, "train") is None

    def test_relative_entrypoint_begins_at_the_working_directory(self) -> None:
        made = image(program("app/start"), Entrypoint=["./start"], WorkingDir="/app")
        assert outcome(made, "IMAGE-ENTRYPOINT") is PASS

    @detects(26, "IMAGE-ENTRYPOINT-SHELL")
    def test_shell_form_warns(self) -> None:
        made = image(program("bin/sh"), Entrypoint=["/bin/sh", "-c", "python main.py"])
        assert outcome(made, "IMAGE-ENTRYPOINT-SHELL") is WARN

    def test_script_run_by_a_shell_is_no_shell_form(self) -> None:
        made = image(program("bin/sh"), Entrypoint=["/bin/sh", "/start.sh"])
        assert outcome(made, "IMAGE-ENTRYPOINT-SHELL") is PASS

    @detects(6, "IMAGE-ENTRYPOINT-INIT")
    def test_init_before_a_program_warns_and_works(self) -> None:
        made = image(program("sbin/tini"), program("app"), Entrypoint=["/sbin/tini", "-g", "-e", "143", "--", "/app"])
        assert outcome(made, "IMAGE-ENTRYPOINT-INIT") is WARN
        assert resolved(made, "train") == "/app"

    def test_bare_init_starts_train_itself_which_must_be_there(self) -> None:
        with_train = image(program("sbin/tini"), program("bin/train"), Entrypoint=["/sbin/tini", "--"])
        without = image(program("sbin/tini"), Entrypoint=["/sbin/tini", "--"])
        assert outcome(with_train, "IMAGE-TRAIN") is PASS
        assert outcome(without, "IMAGE-TRAIN") is FAIL


@pytest.mark.parametrize(("unpacked", "expected"), [(1, PASS), (28 * 10**9, WARN), (31 * 10**9, FAIL)])
def test_image_archive_and_files_have_to_fit_the_batch_volume(unpacked: int, expected: CheckOutcome) -> None:
    made = image(program("bin/serve"))
    check = checks(made, train=False, serve=True, artifact=Artifact(10**6, unpacked))["IMAGE-BATCH-DISK"]
    assert check.outcome is expected
    assert "model.tar.gz 0.0 GB" in check.params["parts"]
    assert "IMAGE-BATCH-DISK" not in checks(made)


class TestKernel:
    def reason(self, *items: Item, **config: object) -> str:
        check = checks(image(*items, **config))["IMAGE-INTERPRETER"]
        return check.params["reason"] if check.outcome is FAIL else ""

    def test_binary_for_another_machine(self) -> None:
        assert "ARM64" in self.reason(program("bin/train", ELF_ARM64))

    def test_windows_line_ends(self) -> None:
        assert "carriage return" in self.reason(program("bin/train", b"#!/bin/sh\r\necho\r\n"), program("bin/sh"))

    def test_byte_order_mark(self) -> None:
        assert "byte order mark" in self.reason(program("bin/train", b"\xef\xbb\xbf#!/bin/sh\n"), program("bin/sh"))

    def test_interpreter_that_is_not_there(self) -> None:
        assert "/usr/bin/python" in self.reason(program("bin/train", b"#!/usr/bin/python -u\n"))

    def test_interpreter_looked_for_by_env(self) -> None:
        script = program("bin/train", b"#!/usr/bin/env python3.11\n")
        assert "python3.11" in self.reason(script, program("usr/bin/env"))
        assert self.reason(script, program("usr/bin/env"), program("usr/local/bin/python3.11")) == ""

    def test_text_without_an_interpreter_line(self) -> None:
        assert "neither" in self.reason(program("bin/train", b"import sys\n"))

    def test_good_script_passes(self) -> None:
        assert self.reason(program("bin/train", b"#! /bin/sh\n"), program("bin/sh")) == ""


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", PASS),
        ("0", PASS),
        ("root", PASS),
        ("root:root", PASS),
        ("0:0", PASS),
        ("1000", FAIL),
        ("app", FAIL),
        ("nobody-knows", SKIP),
        ("toor", PASS),  # root by another name
    ],
)
@detects(15, "IMAGE-USER")
def test_other_users_than_root_fail(user: str, expected: CheckOutcome) -> None:
    accounts = file("etc/passwd", b"app:x:1000:1000::/:\ntoor:x:0:0::/:\n")
    assert outcome(image(program("bin/train"), accounts, User=user), "IMAGE-USER") is expected


def test_an_operator_can_have_other_users_than_root_only_warn(monkeypatch: pytest.MonkeyPatch) -> None:
    lenient = settings.SLIPWAY.model_copy(update={"nonroot_user": "warn"})
    monkeypatch.setattr(settings, "SLIPWAY", lenient)
    assert outcome(image(program("bin/train"), User="1000"), "IMAGE-USER") is WARN


@detects(21, "IMAGE-OPT-ML")
def test_content_below_opt_ml_warns_and_is_named() -> None:
    check = checks(image(program("bin/train"), file("opt/ml/code/main.py"), directory("opt/ml/model")))["IMAGE-OPT-ML"]
    assert (check.outcome, check.params["count"]) == (WARN, "1")
    assert check.evidence[0].text == "/opt/ml/code/main.py"


def test_empty_directories_below_opt_ml_do_no_harm() -> None:
    assert outcome(image(program("bin/train"), directory("opt/ml/model")), "IMAGE-OPT-ML") is PASS


@detects(17, "IMAGE-SIZE")
def test_large_image_warns_with_its_layers() -> None:
    made = image(program("bin/train"))
    layer = made.layers[0]
    large = type(layer.facts)("sha256:x", "sha256:y", 1, LARGE_BYTES + 1, layer.facts.entries)
    check = checks(Image(made.digest, made.media_type, made.config_digest, made.config, (Layer(large, "RUN big"),)))
    assert check["IMAGE-SIZE"].outcome is WARN
    assert check["IMAGE-SIZE"].evidence[0].label == "RUN big"


@pytest.mark.parametrize(
    ("created_by", "line"),
    [
        ("/bin/sh -c #(nop) COPY file:1 in /opt ", "COPY file:1 in /opt"),
        ("/bin/sh -c pip install   x", "RUN pip install x"),
        ("RUN /bin/sh -c pip install x # buildkit", "RUN pip install x"),
        ("COPY train /usr/bin/ # buildkit", "COPY train /usr/bin/"),
        ("|2 A=b C=/bin/x /bin/sh -c pip install x", "RUN pip install x"),
        ("RUN |1 A=b c /bin/sh -c pip install x # buildkit", "RUN pip install x"),
        ("", ""),
    ],
)
def test_dockerfile_line_of_both_builders(created_by: str, line: str) -> None:
    assert instruction(created_by) == line


def test_history_that_does_not_fit_the_layers_names_none() -> None:
    history = {"history": [{"created_by": "a"}, {"created_by": "b", "empty_layer": True}, {"created_by": "c"}]}
    assert layer_history(history, 2) == ["a", "c"]
    assert layer_history(history, 3) == ["", "", ""]
