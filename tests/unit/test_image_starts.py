"""How a container starts, variant by variant. What the engine does: tests/engine/test_inspect_truth.py."""

from __future__ import annotations

import pytest

from tests.contract_rows import detects
from tests.image_fixtures import FAIL, PASS, SKIP, WARN, Item, checks, complaints, image, layered, outcome
from tests.images_by_hand import ELF_ARM64, directory, elf, file, hardlink, program, symlink
from workers.images.heads import describe_head
from workers.images.programs import shell_command

SH, ENV, PYTHON = program("bin/sh"), program("usr/bin/env"), program("usr/bin/python3")
PASSWD = file("etc/passwd", b"root:x:0:0::/root:/bin/sh\napp:x:7:7::/:/bin/sh\n")
GROUP = file("etc/group", b"root:x:0:\nstaff:x:50:\n")


def reason(script: bytes, *items: Item, **config: object) -> str:
    """Why ``train`` with this content cannot be started, or empty."""
    check = checks(image(program("bin/train", script), *items, **config))["IMAGE-INTERPRETER"]
    return check.params["reason"] if check.outcome is FAIL else ""


class TestScripts:
    @pytest.mark.parametrize("line", [
        b"#!/bin/sh", b"#! /bin/sh -e", b"#!\t/bin/sh\t", b"#!/usr/bin/env python3", b"#!/usr/bin/env -S python3 -u -B",
        b"#!/usr/bin/env -S -i PATH=/usr/bin python3", b"#!/usr/bin/env -vS python3",
        b"#!/usr/bin/env -S -u HOME python3",
        b"#!/usr/bin/env --split-string=python3 -u", b"#!/usr/bin/env -S ${ANY}", b"#!/bin/sh " + b"x" * 400,
    ])  # fmt: skip
    def test_good_first_lines(self, line: bytes) -> None:
        assert reason(line + b"\nexec true\n", SH, ENV, PYTHON) == ""

    @pytest.mark.parametrize(("line", "says"), [
        (b"#!/bin/sh\r", "carriage return"),
        (b"#!/usr/bin/env python3\r", "carriage return"),
        (b"#!", "names no interpreter"),
        (b"#!   ", "names no interpreter"),
        (b"#!/bin/bash", "/bin/bash is not in the image"),
        (b"#!sh", "interpreter sh is not in the image"),
        (b"#!/etc", "/etc is not in the image, or not executable"),
        (b"#!/usr/bin/env", "env without a program"),
        (b"#!/usr/bin/env -i", "env without a program"),
        (b"#!/usr/bin/env MODE=x", "env without a program"),
        (b"#!/usr/bin/env python3 -u", "“python3 -u”, blanks included"),
        (b"#!/usr/bin/env python", "python is not on the image's PATH"),
        (b"#!/usr/bin/env -S python -u", "python is not on the image's PATH"),
        (b"#!/usr/bin/env -S PATH=/opt python3", "python3 is not on the image's PATH"),
        (b"#!/usr/bin/env -S 'python3", "quotes"),
        (b"#!/" + b"d/" * 140 + b"sh", "longer than the 256 bytes"),
        (b"\xef\xbb\xbf#!/bin/sh", "byte order mark"),
        (b"version https://git-lfs.github.com/spec/v1", "neither an ELF binary"),
        (b"", "it is empty"),
    ])  # fmt: skip
    def test_bad_first_lines(self, line: bytes, says: str) -> None:
        assert says in reason(line + b"\nexec true\n" if line else b"", SH, ENV, PYTHON, directory("etc"))

    def test_busybox_env_cannot_split(self) -> None:
        busybox = (program("bin/busybox"), symlink("usr/bin/env", "/bin/busybox"))
        assert "BusyBox" in reason(b"#!/usr/bin/env -S sh -e\n", SH, *busybox)
        assert reason(b"#!/usr/bin/env sh\n", SH, *busybox) == ""

    def test_relative_interpreter_begins_at_the_working_directory(self) -> None:
        assert reason(b"#!bin/sh\n", SH) == ""
        assert "bin/sh" in reason(b"#!bin/sh\n", SH, WorkingDir="/opt")

    def test_interpreter_that_is_a_script_for_another_machine_is_named(self) -> None:
        made = image(program("bin/train", b"#!/opt/run\n"), program("opt/run", b"#!/opt/real\n"),
                     program("opt/real", ELF_ARM64))  # fmt: skip
        check = checks(made)["IMAGE-INTERPRETER"]
        assert check.params["path"] == "/opt/real"
        assert [evidence.text for evidence in check.evidence] == [
            "/bin/train: #!/opt/run", "/opt/real: an ELF binary",
        ]  # fmt: skip

    def test_scripts_that_start_each_other_end(self) -> None:
        assert "name each other" in reason(b"#!/bin/train\n")
        assert reason(b"#!/usr/bin/env train\n", ENV) == ""  # never ends, but starts

    def test_remedy_can_be_copied(self) -> None:
        check = checks(image(program("bin/train", b"#!/bin/sh\r\n"), SH))["IMAGE-INTERPRETER"]
        assert check.patch == "RUN sed -i 's/\\r$//' /bin/train\n"
        assert check.evidence[0].text == "/bin/train: #!/bin/sh\\r"
        assert check.evidence[0].label == "COPY . /"


class TestPrograms:
    def test_loader_of_the_other_c_library_is_named(self) -> None:
        assert "built for musl" in reason(elf(loader="/lib/ld-musl-x86_64.so.1"))
        assert "built for glibc" in reason(elf(loader="/lib64/ld-linux-x86-64.so.2"))

    def test_loader_behind_a_link_is_found(self) -> None:
        loader = (program("usr/lib64/ld-linux-x86-64.so.2"), symlink("lib64", "usr/lib64"))
        assert reason(elf(loader="/lib64/ld-linux-x86-64.so.2"), *loader) == ""

    def test_loader_has_to_be_executable(self) -> None:
        assert "its loader" in reason(elf(loader="/lib/ld.so"), file("lib/ld.so", elf()))

    @pytest.mark.parametrize(("content", "says"), [
        (elf(kind=1), "object file"), (elf()[:40], "cut off"), (elf()[:54] + b"\0\0" + elf()[56:], "damaged"),
        (b"\x7fELF\x01" + elf()[5:], "word size"), (elf(40), "32-bit ARM"), (elf(9999), "machine 9999"),
    ])  # fmt: skip
    def test_what_is_no_program_for_this_machine(self, content: bytes, says: str) -> None:
        assert says in reason(content)

    def test_loader_named_far_behind_is_not_judged(self) -> None:
        head = bytearray(elf(loader="/lib/none"))
        place = 64 + 56 + 8
        head[place : place + 8] = (1 << 20).to_bytes(8, "little")
        assert describe_head(bytes(head)) == "elf:62:"

    @detects(3, "IMAGE-BINARIES")
    def test_programs_for_another_machine_on_path_are_told(self) -> None:
        made = image(program("bin/train"), program("usr/local/bin/helper", ELF_ARM64), program("opt/x", ELF_ARM64))
        check = checks(made)["IMAGE-BINARIES"]
        assert (check.outcome, check.params["count"]) == (WARN, "1")
        assert check.evidence[0].text == "/usr/local/bin/helper: a binary for ARM64"


class TestEntrypoint:
    def test_dangling_link_is_told_from_nothing(self) -> None:
        check = checks(image(symlink("bin/train", "/opt/gone")))["IMAGE-TRAIN"]
        assert check.evidence[0].text == "/bin/train: a link to /opt/gone, which leads nowhere"

    def test_cmd_that_the_argument_replaces_is_named(self) -> None:
        check = checks(image(PYTHON, Cmd=["python3", "train.py"]))["IMAGE-TRAIN"]
        assert "CMD python3 train.py is replaced by “train”" in check.evidence[-1].text

    def test_program_of_a_lower_layer_that_an_upper_one_took_away(self) -> None:
        made = layered([[program("bin/train")], [file("bin/.wh.train")]], ["COPY train /bin/", "RUN rm /bin/train"])
        assert outcome(made, "IMAGE-TRAIN") is FAIL

    def test_hard_link_is_the_program(self) -> None:
        assert complaints(image(program("opt/x"), hardlink("bin/train", "opt/x"))) == []

    @pytest.mark.parametrize(("words", "folder", "expected"), [
        (["python3", "/app/main.py"], "/", PASS), (["python3", "-u", "-W", "error", "main.py"], "/app", PASS),
        (["python3", "-m", "app.main"], "/", PASS), (["python3", "-c", "x"], "/", PASS),
        (["sh", "-eo", "pipefail", "/app/start.sh"], "/", PASS), (["python3", "/opt/ml/code/train.py"], "/", PASS),
        (["node", "server"], "/app", PASS), (["node", "server"], "/", FAIL), (["bash", "tool"], "/", PASS),
        (["python3", "main.py"], "/", FAIL), (["python3"], "/", FAIL), (["sh", "-e", "/app/absent.sh"], "/", FAIL),
        (["/bin/tini", "--", "python3", "absent.py"], "/", FAIL),
    ])  # fmt: skip
    def test_file_that_the_program_is_to_run(self, words: list[str], folder: str, expected: object) -> None:
        files = (
            file("app/main.py"), file("app/start.sh"), program("bin/tini"), program("bin/node"), program("bin/bash"),
            file("app/server.js"), file("usr/bin/tool"),
        )  # fmt: skip
        made = image(SH, PYTHON, *files, Entrypoint=words, WorkingDir=folder)
        assert outcome(made, "IMAGE-ENTRYPOINT-FILE") is expected

    def test_shell_form_of_a_missing_program_fails_and_what_may_be_a_builtin_does_not(self) -> None:
        assert outcome(image(SH, Entrypoint=["/bin/sh", "-c", "exec /app/run -x"]), "IMAGE-ENTRYPOINT") is FAIL
        assert outcome(image(SH, Entrypoint=["/bin/sh", "-c", "run -x"]), "IMAGE-ENTRYPOINT") is PASS
        assert outcome(image(SH, Entrypoint=["/bin/sh", "-c", "/app/run || true"]), "IMAGE-ENTRYPOINT") is PASS

    def test_shell_form_comes_with_the_list_to_copy(self) -> None:
        check = checks(image(SH, Entrypoint=["/bin/sh", "-c", "python3 main.py"]))["IMAGE-ENTRYPOINT-SHELL"]
        assert check.patch == 'ENTRYPOINT ["python3", "main.py"]\n'
        check = checks(image(SH, Entrypoint=["/bin/sh", "-c", "a && b"]))["IMAGE-ENTRYPOINT-SHELL"]
        assert (check.outcome, check.patch) == (WARN, "")

    @pytest.mark.parametrize(
        "shell",
        [
            ["/bin/bash", "-o", "pipefail", "-c"],
            ["/bin/bash", "-euo", "pipefail", "-c"],
            ["/bin/bash", "-ceuo", "pipefail"],
            ["/bin/bash", "-lc"],
            ["/bin/bash", "--login", "-c"],
            ["/bin/bash", "--rcfile", "/etc/rc", "+e", "-O", "extglob", "-c", "--"],
            ["/bin/sh", "-ec"],
            ["/bin/sh", "-c", "-e"],
        ],
    )
    def test_shell_form_is_known_whatever_options_the_shell_has(self, shell: list[str]) -> None:
        made = image(SH, program("bin/bash"), Entrypoint=[*shell, "python3 main.py"])
        found = checks(made)
        assert found["IMAGE-ENTRYPOINT-SHELL"].outcome is WARN
        assert found["IMAGE-ENTRYPOINT-SHELL"].patch == 'ENTRYPOINT ["python3", "main.py"]\n'
        assert found["IMAGE-ENTRYPOINT-FILE"].outcome is not FAIL
        missing = image(SH, program("bin/bash"), Entrypoint=[*shell, "exec /app/run -x"])
        assert outcome(missing, "IMAGE-ENTRYPOINT") is FAIL

    @pytest.mark.parametrize(
        "words",
        [["bash", "-o", "c", "/run.sh"], ["bash", "/run.sh", "-c"], ["bash", "--", "-c"], ["sh", "-eu"], ["c"], []],
    )
    def test_a_shell_that_runs_a_script_is_no_shell_form(self, words: list[str]) -> None:
        assert shell_command(words) is None

    def test_shell_script_with_windows_line_ends_below_a_good_first_line(self) -> None:
        made = image(program("bin/train", b"#!/bin/sh\nexport A=b\r\nexec true\n"), SH)
        check = checks(made)["IMAGE-SCRIPT-CRLF"]
        assert check.outcome is WARN
        assert check.evidence[0].text == "/bin/train:2 ends in a carriage return"

    def test_python_does_not_mind_windows_line_ends(self) -> None:
        made = image(PYTHON, file("main.py", b"import os\r\n"), Entrypoint=["python3", "/main.py"])
        assert outcome(made, "IMAGE-SCRIPT-CRLF") is PASS

    def test_init_hands_a_script_without_a_first_line_to_a_shell(self) -> None:
        made = image(program("bin/tini"), SH, program("bin/train", b"exec true\n"), Entrypoint=["tini", "--"])
        assert outcome(made, "IMAGE-INTERPRETER") is PASS

    def test_argument_that_reaches_nothing_is_skipped_with_the_reason(self) -> None:
        check = checks(image(program("bin/train"), Entrypoint=["/gone"]))["IMAGE-TRAIN"]
        assert (check.outcome, check.evidence[0].text) == (
            SKIP, "ENTRYPOINT cannot be started, so the argument reaches nothing.",
        )  # fmt: skip


class TestUserAndFolder:
    @pytest.mark.parametrize(("user", "expected"), [
        ("", PASS), ("root", PASS), ("1000", PASS), ("app", PASS), ("app:staff", PASS), ("0:99", PASS),
        ("nobody", FAIL), ("app:nobody", FAIL),
    ])  # fmt: skip
    def test_named_accounts_have_to_exist(self, user: str, expected: object) -> None:
        assert outcome(image(program("bin/train"), PASSWD, GROUP, User=user), "IMAGE-USER-UNKNOWN") is expected

    def test_image_without_accounts_has_no_root_by_name(self) -> None:
        assert outcome(image(program("bin/train"), User="root"), "IMAGE-USER-UNKNOWN") is FAIL

    def test_list_of_accounts_that_was_not_read_is_no_proof(self) -> None:
        long = file("etc/passwd", b"x" * 70_000)
        assert outcome(image(program("bin/train"), long, GROUP, User="app"), "IMAGE-USER-UNKNOWN") is SKIP

    @pytest.mark.parametrize(("folder", "expected"), [
        ("/app", PASS), ("/new/folder", PASS), ("/bin/train", FAIL), ("/bin/train/x", FAIL), ("", PASS),
    ])  # fmt: skip
    def test_working_directory(self, folder: str, expected: object) -> None:
        assert outcome(image(program("bin/train"), directory("app"), WorkingDir=folder), "IMAGE-WORKDIR") is expected
