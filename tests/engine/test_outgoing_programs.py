"""Programs that sellers put into images call out by clients and resolvers of their own: each call is seen and named."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bootstrap.venv import musl_uv
from tests.engine.twin_fixtures import Twin

pytestmark = pytest.mark.timeout(180)

DOCKERFILE = """\
FROM slipway.local/python:3.11-bookworm
COPY programs /opt/programs
COPY libraries /opt/libraries
ENV PATH=/opt/programs:/usr/local/bin:/usr/bin:/bin UV_HTTP_RETRIES=0 UV_NO_CACHE=1
COPY train /usr/local/bin/train
"""
#: curl with glibc's resolver, skopeo with Go's own, a static uv with musl's.
TRAIN = """\
#!/bin/sh
echo tree > /tmp/needs.txt
echo curl; LD_LIBRARY_PATH=/opt/libraries curl -sS -m 5 https://by-curl.example.org/weights.bin
echo go; LD_LIBRARY_PATH=/opt/libraries GODEBUG=netdns=go skopeo inspect docker://by-go.example.org/image
index=https://by-musl.example.org/simple
echo musl; uv-musl pip compile -q --python /usr/bin/python3 --index-url $index /tmp/needs.txt
echo trained > /opt/ml/model/model
"""


def libraries(program: Path) -> list[Path]:
    """What the loader takes for it, but glibc, which the image has; none for a static program."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    found = [Path(path) for path in re.findall(r"=> (/\S+)", said)]
    return [path for path in found if not re.match(r"lib(c|m|dl|rt|pthread|resolv)\.so", path.name)]


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "twin-programs"
    for name in ("programs", "libraries"):
        (folder / name).mkdir(parents=True)
    found = {"uv-musl": musl_uv()}
    for name in ("curl", "skopeo"):
        path = shutil.which(name)
        assert path, f"the set-up of the tests installs {name}"
        found[name] = Path(path).resolve()
    for name, program in found.items():
        shutil.copy(program, folder / "programs" / name)
        for library in libraries(program):
            shutil.copy(library, folder / "libraries" / library.name)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "train").write_text(TRAIN)
    (folder / "train").chmod(0o755)
    return folder


def test_curl_go_and_musl_call_by_resolvers_of_their_own_and_are_named(twin: Twin, context: Path) -> None:
    assert libraries(context / "programs" / "uv-musl") == []
    ran = twin.train(str(context), {})
    assert ran.report.problem is None, ran.log.text()
    calls = ran.report.facts["outgoing"]
    for name in ("by-curl.example.org", "by-go.example.org", "by-musl.example.org"):
        of_it = [call for call in calls if call["host"] == name]
        assert {call["protocol"] for call in of_it if call["network"] == "refuse"} == {"dns"}, ran.log.text()
        heard = [detail for call in of_it if call["network"] == "diagnose" for detail in call["details"]]
        assert f"tls {name}" in heard, ran.log.text()
    assert all(call["log_line"] for call in calls)
