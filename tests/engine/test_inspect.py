"""Inspect and scan on images in a real registry; none of them needs an engine."""

from __future__ import annotations

import gzip
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from listings.problems import Owner, ProblemError, get
from listings.reports import CheckOutcome
from tests.contract_rows import detects
from tests.engine.context import MemoryLog, make_context
from tests.engine.registry_steps import named, use_as_staging
from tests.images_by_hand import HandMade, digest_of, file, program, symlink, tar
from tests.registry_fixtures import Registry as RegistryServer
from workers.registries import RegistryClient
from workers.registries.client import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, Manifest
from workers.steps import inspect, scan
from workers.steps.contract import StepStopped, Stop, StopReason

BASE = tar(
    [
        file("usr/lib/os-release", b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n'),
        symlink("etc/os-release", "../usr/lib/os-release"),
        program("bin/sh"),
        file("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        file("opt/old", b"x" * 500),
    ]
)
CODE = tar([program("usr/local/bin/train", b"#!/bin/sh\n"), program("usr/local/bin/serve"), file("opt/.wh.old")])
GOOD = HandMade(
    [BASE, CODE], {"Env": ["PATH=/usr/local/bin:/bin", "MODE=a=b"], "User": "root", "WorkingDir": "/opt",
                   "Labels": {"team": "vision"}, "ExposedPorts": {"8080/tcp": {}}, "Cmd": ["sh"]},
    created_by=["/bin/sh -c #(nop) ADD file:1 in / ", "COPY train serve /usr/local/bin/ # buildkit"],
)  # fmt: skip
BOTH = {"kind": "Algorithm", "training": {"x": 1}, "inference": {"x": 1}}


@pytest.fixture
def client(registry: RegistryServer) -> RegistryClient:
    return RegistryClient(named(registry))


class Staged:
    """Runs a step on an image pushed to staging."""

    def __init__(self, client: RegistryClient, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.repository = f"staging/{uuid.uuid4().hex}"
        self.log = MemoryLog()

    def run(self, step: Any, image: HandMade, spec: dict[str, Any] = BOTH, **options: Any) -> Any:
        return self.run_on(step, image.push(self.client, self.repository), spec, **options)

    def run_on(
        self, step: Any, digest: str, spec: dict[str, Any] = BOTH, stop: Stop | None = None,
        fetched: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        facts = {
            "fetch": {"spec": spec, **(fetched or {})},
            "build": {"staging_repository": self.repository, "digest": digest},
        }
        context, self.log = make_context(self.folder / "work", facts, "none", stop)
        return step.execute(context)


@pytest.fixture
def staged(client: RegistryClient, registry: RegistryServer, settings: Any, tmp_path: Path) -> Staged:
    use_as_staging(settings, registry, tmp_path / "data")
    return Staged(client, tmp_path)


class TestInspect:
    def test_good_image_passes_and_its_facts_are_told(self, staged: Staged) -> None:
        report = staged.run(inspect, GOOD)
        assert report.problem is None
        assert {check.outcome for check in report.checks} == {CheckOutcome.PASS}
        assert len(report.checks) == 23
        facts = report.facts
        assert (facts["train"], facts["serve"]) == ("/usr/local/bin/train", "/usr/local/bin/serve")
        assert (facts["architecture"], facts["os"], facts["user"]) == ("amd64", "linux", "root")
        assert facts["env"] == {"PATH": "/usr/local/bin:/bin", "MODE": "a=b"}
        assert facts["exposed_ports"] == ["8080/tcp"]
        assert facts["os_release"]["VERSION_ID"] == "12"
        assert json.loads(json.dumps(facts)) == facts

    def test_layers_carry_their_dockerfile_lines_and_sizes(self, staged: Staged) -> None:
        layers = staged.run(inspect, GOOD).facts["layers"]
        assert [layer["created_by"] for layer in layers] == [
            "ADD file:1 in /", "COPY train serve /usr/local/bin/",
        ]  # fmt: skip
        assert layers[0]["digest"] == digest_of(gzip.compress(BASE, 1, mtime=0))
        assert layers[0]["bytes_compressed"] == len(gzip.compress(BASE, 1, mtime=0))

    def test_x_ray_names_the_largest_lines_and_what_each_brought(self, staged: Staged) -> None:
        facts = staged.run(inspect, GOOD).facts
        assert facts["xray"] == {"lines": [0, 1], "share": 1.0}
        assert facts["layers"][0]["files"] == 4
        assert facts["layers"][0]["largest"][0] == ["opt/old", 500]
        assert facts["layers"][1]["packages"] == []

    def test_evidence_links_the_logs_line_of_its_layer(self, staged: Staged) -> None:
        secret = HandMade([*GOOD.layers, tar([file("root/.netrc", b"machine a login b password secretly\n")])], {})
        report = staged.run(inspect, secret)
        assert report.problem.code == "IMAGE-SECRET"
        (evidence,) = report.problem.evidence
        assert (evidence.text, evidence.label) == ("/root/.netrc:1: a password or token", "COPY made by hand")
        assert evidence.log_line == staged.log.number_of("3: 0.0 MB")

    def test_credentials_are_no_facts(self, staged: Staged) -> None:
        token = "ghp_" + "Zk4TnBq7RpLmVxW2" * 3
        made = HandMade(GOOD.layers, {"Env": [f"T={token}", "MODE=x"]}, created_by=["ADD x", f"RUN clone {token}"])
        report = staged.run(inspect, made)
        assert report.problem.code == "IMAGE-SECRET"
        assert report.facts["env"] == {"T": "***", "MODE": "x"}
        assert token not in json.dumps(report.facts)

    @detects(17, "IMAGE-BATCH-DISK")
    def test_model_that_does_not_fit_the_batch_volume_fails(self, staged: Staged) -> None:
        fetched = {"artifact_bytes": 12 * 10**9, "artifact_unpacked_bytes": 19 * 10**9}
        report = staged.run(inspect, GOOD, fetched=fetched)
        assert report.problem.code == "IMAGE-BATCH-DISK"
        assert "its files 19.0 GB" in report.problem.params["parts"]
        assert staged.run(inspect, GOOD, fetched={"artifact_bytes": None}).problem is None

    @detects(5, "IMAGE-TRAIN")
    def test_missing_train_fails_the_step_as_the_sellers(self, staged: Staged) -> None:
        report = staged.run(inspect, HandMade([BASE]), {"training": {"x": 1}})
        assert report.problem.code == "IMAGE-TRAIN"
        assert get(report.problem.code).owner is Owner.SELLER

    def test_train_is_not_asked_of_a_model_package(self, staged: Staged) -> None:
        serving = HandMade([BASE, tar([program("usr/bin/serve")])])
        report = staged.run(inspect, serving, {"kind": "ModelPackage", "training": None, "inference": {"x": 1}})
        assert report.problem is None
        assert report.facts["train"] is None

    @detects(3, "IMAGE-ARCH")
    def test_image_for_another_machine_fails(self, staged: Staged) -> None:
        report = staged.run(inspect, HandMade(GOOD.layers, architecture="arm64"))
        assert report.problem.code == "IMAGE-ARCH"
        assert report.problem.params["architecture"] == "arm64"

    def test_warnings_do_not_fail_the_step(self, staged: Staged) -> None:
        report = staged.run(inspect, HandMade([*GOOD.layers, tar([file("opt/ml/code/main.py")])]))
        assert report.problem is None
        assert [check.code for check in report.checks if check.outcome is CheckOutcome.WARN] == ["IMAGE-OPT-ML"]

    def test_removed_train_is_missing(self, staged: Staged) -> None:
        report = staged.run(inspect, HandMade([*GOOD.layers, tar([file("usr/local/bin/.wh.train")])]))
        assert report.problem.code == "IMAGE-TRAIN"


class TestReading:
    def test_layers_are_read_once(self, staged: Staged) -> None:
        staged.run(inspect, GOOD)
        assert staged.log.text().count("Reading layer") == 2
        grown = HandMade([*GOOD.layers, tar([file("new")])], GOOD.config)
        assert staged.run(inspect, grown).problem is None
        assert staged.log.text().count("Reading layer") == 1

    def test_damaged_cache_is_read_anew(self, staged: Staged, tmp_path: Path) -> None:
        first = staged.run(inspect, GOOD)
        for kept in (tmp_path / "data" / "cache" / "layers").iterdir():
            kept.write_bytes(gzip.compress(b'{"format": 1}'))
        assert staged.run(inspect, GOOD).facts == first.facts

    def test_diff_id_that_is_not_the_layers_is_refused(self, staged: Staged) -> None:
        with pytest.raises(ProblemError) as caught:
            staged.run(inspect, HandMade([BASE], diff_ids=["sha256:" + "1" * 64]))
        assert caught.value.code == "IMAGE-LAYER-DIFF"

    def test_layer_out_of_the_image_is_refused_by_name(self, staged: Staged) -> None:
        with pytest.raises(ProblemError) as caught:
            staged.run(inspect, HandMade([tar([file("../../etc/cron.d/x")])]))
        assert caught.value.code == "IMAGE-LAYER-PATH"
        assert caught.value.report.params["layer"].startswith("sha256:")

    def test_too_many_layers_are_refused(self, staged: Staged) -> None:
        with pytest.raises(ProblemError) as caught:
            staged.run(inspect, HandMade([CODE] * 128))
        assert caught.value.code == "IMAGE-LAYER-LIMIT"

    def test_staged_image_that_is_gone_is_ours(self, staged: Staged) -> None:
        with pytest.raises(ProblemError) as caught:
            staged.run_on(inspect, "sha256:" + "0" * 64)
        assert caught.value.code == "IMAGE-GONE"
        assert get(caught.value.code).owner is Owner.PLATFORM

    @pytest.mark.parametrize("config", [b"no json", b"[]", b"{}", b'{"rootfs": {"diff_ids": 3}}', b'{"rootfs": null}'])
    def test_configuration_that_is_none_is_told(self, staged: Staged, config: bytes) -> None:
        client, repository = staged.client, staged.repository
        layer = gzip.compress(BASE, mtime=0)
        body = json.dumps({
            "schemaVersion": 2, "mediaType": DOCKER_MANIFEST,
            "config": {"mediaType": DOCKER_CONFIG, "digest": client.put_blob(repository, config), "size": len(config)},
            "layers": [{"mediaType": DOCKER_LAYER, "digest": client.put_blob(repository, layer), "size": len(layer)}],
        }).encode()  # fmt: skip
        digest = client.put_manifest(repository, "x", Manifest(body, DOCKER_MANIFEST))
        with pytest.raises(ProblemError) as caught:
            staged.run_on(inspect, digest)
        assert caught.value.code == "IMAGE-CONFIG"

    def test_index_of_several_platforms_is_refused(self, staged: Staged) -> None:
        inner = GOOD.push(staged.client, staged.repository)
        kind = "application/vnd.docker.distribution.manifest.list.v2+json"
        size = len(staged.client.manifest(staged.repository, inner).body)
        body = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [{
            "mediaType": DOCKER_MANIFEST, "digest": inner, "size": size,
            "platform": {"architecture": "amd64", "os": "linux"},
        }]}).encode()  # fmt: skip
        digest = staged.client.put_manifest(staged.repository, "list", Manifest(body, kind))
        with pytest.raises(ProblemError) as caught:
            staged.run_on(inspect, digest)
        assert caught.value.code == "IMAGE-MEDIA-TYPE"

    def test_stop_ends_the_reading(self, staged: Staged) -> None:
        stop = Stop()
        stop.set(StopReason.CANCELLED)
        with pytest.raises(StepStopped):
            staged.run(inspect, GOOD, stop=stop)


class TestScan:
    def test_operating_system_is_a_fact_and_no_verdict(self, staged: Staged) -> None:
        report = staged.run(scan, GOOD)
        assert report.problem is None
        assert report.facts == {"os": {"id": "debian", "version_id": "12", "name": "Debian GNU/Linux 12"}}
        assert report.scan.complete
        assert (report.scan.os_id, report.scan.os_version) == ("debian", "12")

    def test_image_without_a_system_is_unknown_and_not_clean(self, staged: Staged) -> None:
        report = staged.run(scan, HandMade([tar([program("serve")])]))
        assert report.problem is None
        assert not report.scan.complete
        assert "cannot determine" in report.scan.detail

    def test_scan_reads_nothing_that_inspect_has_read(self, staged: Staged) -> None:
        staged.run(inspect, GOOD)
        staged.run(scan, GOOD)
        assert "Reading layer" not in staged.log.text()
