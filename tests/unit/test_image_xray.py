"""What each layer brought: files, packages, sizes; and what must not be in an image."""

from __future__ import annotations

import json

import pytest

from tests.image_fixtures import PASS, WARN, checks, image, layer_of, layered
from tests.images_by_hand import file, hardlink, program
from workers.images import LayerFacts, Limits, xray

STATUS = (
    b"Package: bash\nStatus: install ok installed\nVersion: 5.2-1\n\n"
    b"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
)
MORE = STATUS + b"Package: curl\nStatus: install ok installed\nVersion: 7.88\n"


def packages(*items: tuple[object, bytes]) -> list[tuple[str, str, str]]:
    return list(layer_of(items).packages)  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "content", "found"), [
    ("var/lib/dpkg/status", STATUS, [("dpkg", "bash", "5.2-1")]),
    ("var/lib/dpkg/status.d/base", b"Package: base-files\nVersion: 12\n", [("dpkg", "base-files", "12")]),
    ("lib/apk/db/installed", b"C:x\nP:musl\nV:1.2-r0\n\nP:zlib\nV:1.3\n",
     [("apk", "musl", "1.2-r0"), ("apk", "zlib", "1.3")]),
    ("usr/lib/python3/dist-packages/numpy-2.1.0.dist-info/METADATA", b"", [("pip", "numpy", "2.1.0")]),
    ("opt/venv/lib/python3.11/site-packages/my_pack-1.0.post1.dist-info/METADATA", b"",
     [("pip", "my-pack", "1.0.post1")]),
    ("usr/lib/python3/dist-packages/six-1.16.0.egg-info/PKG-INFO", b"", [("pip", "six", "1.16.0")]),
    ("usr/lib/python3/dist-packages/old-2.0-py3.9.egg-info", b"", [("pip", "old", "2.0")]),
    ("opt/conda/conda-meta/openssl-3.0.8-h7f8727e_0.json", b"{}", [("conda", "openssl", "3.0.8")]),
    ("app/node_modules/left-pad/package.json", b'{"version": "1.3.0"}', [("npm", "left-pad", "1.3.0")]),
    ("app/node_modules/@scope/x/package.json", b'{"version":"2.0.0"}', [("npm", "@scope/x", "2.0.0")]),
    ("app/node_modules/x/lib/package.json", b'{"version":"2.0.0"}', []),
    ("app/package.json", b'{"version":"2.0.0"}', []),
])  # fmt: skip
def test_packages_of_each_manager(name: str, content: bytes, found: list[tuple[str, str, str]]) -> None:
    assert packages(file(name, content)) == found


def test_list_of_a_whole_image_counts_for_the_layer_that_changed_it() -> None:
    made = layered([[file("var/lib/dpkg/status", STATUS)], [file("x")], [file("var/lib/dpkg/status", MORE)]],
                   ["FROM debian", "COPY x", "RUN apt-get install curl"])  # fmt: skip
    rows = xray.layer_facts(made)
    assert [row["packages"] for row in rows] == [[["dpkg", "bash", "5.2-1"]], [], [["dpkg", "curl", "7.88"]]]
    assert [row["package_count"] for row in rows] == [1, 0, 1]


def test_layer_tells_files_sizes_and_the_largest_of_them() -> None:
    made = image(*(file(f"f{number}", b"x" * number) for number in range(20)), program("bin/train"))
    (row,) = xray.layer_facts(made)
    assert (row["files"], row["created_by"]) == (21, "COPY . /")
    assert [size for _, size in row["largest"]] == [176, *range(19, 10, -1)]
    assert row["largest"][1] == ["f19", 19]
    assert json.loads(json.dumps(row)) == row


def test_largest_lines_and_their_share() -> None:
    sizes = [10, 600, 200, 0, 150, 40]
    made = layered([[file("x", b"x" * size)] for size in sizes], [f"RUN {size}" for size in sizes])
    assert xray.summary(made) == {"lines": [1, 2, 4], "share": 0.95}
    assert xray.sentence(made) == "Lines 2, 3 and 5 are 95 % of the image."


def test_lines_that_weigh_nothing_are_not_named() -> None:
    made = layered([[file("x", b"x" * 1000)], [file("y", b"y")], []], ["a", "b", "c"])
    assert xray.summary(made) == {"lines": [0], "share": 0.999}
    assert xray.sentence(made) == "Line 1 is 100 % of the image."
    assert xray.summary(layered([[]], ["a"])) == {"lines": [], "share": 0.0}


def test_everything_kept_is_bounded() -> None:
    many = [file(f"p/node_modules/n{number}/package.json", b"{}") for number in range(30)]
    scripts = [file(f"app/s{number}.py", b"x" * 100) for number in range(30)]
    secrets = [file(f"u{number}/.netrc", b"machine a login b password secretly\n") for number in range(30)]
    facts = layer_of([*many, *scripts, *secrets], Limits(packages=10, scripts=1000, secrets=5))
    assert (len(facts.packages), len(facts.contents), len(facts.secrets)) == (10, 10, 5)
    linked = layer_of(
        [file("a.py", b"x" * 900), *(hardlink(f"b{n}.py", "a.py") for n in range(9))], Limits(scripts=1000)
    )
    assert len(linked.contents) == 1


def test_facts_with_packages_and_secrets_survive_the_cache() -> None:
    facts = layer_of(
        [file("var/lib/dpkg/status", STATUS), file("root/.netrc", b"machine a login b password c123456\n")]
    )
    assert facts.packages
    assert facts.secrets
    assert LayerFacts.from_json(json.loads(json.dumps(facts.as_json()))) == facts


@pytest.mark.parametrize(("name", "expected"), [
    ("usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05", WARN), ("usr/lib64/libnvidia-ml.so.470.57", WARN),
    ("lib/modules/5.10/kernel/nvidia.ko", WARN), ("usr/local/cuda-12.2/compat/libcuda.so.535.104.05", PASS),
    ("usr/local/cuda/lib64/stubs/libcuda.so", PASS), ("usr/lib/libcudart.so.12.2.140", PASS),
])  # fmt: skip
def test_parts_of_the_hosts_driver(name: str, expected: object) -> None:
    assert checks(image(program("bin/train"), file(name, b"x")))["IMAGE-NVIDIA-DRIVER"].outcome is expected


def test_empty_place_for_the_hosts_driver_is_none() -> None:
    made = image(program("bin/train"), file("usr/lib/libcuda.so.535.104.05"))
    assert checks(made)["IMAGE-NVIDIA-DRIVER"].outcome is PASS
