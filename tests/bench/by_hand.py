"""What a seller would do by hand with the same sample: build, push, read the layers, train, serve, copy."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from docker.models.containers import Container

from tests.registry_fixtures import Registry
from workers.engine import Engine

ML = "/opt/ml"
VALUES = {"max_depth": "4", "criterion": "gini"}
#: As any value that the training refuses at its start.
BAD_VALUE = {"max_depth": "0"}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
#: Runs inside the serving container's namespace, as there is no other way in.
PROBE = """
import sys, time, urllib.error, urllib.request
def ask(path, body=None, kind="text/csv"):
    request = urllib.request.Request("http://127.0.0.1:8080" + path, body, {"Content-Type": kind, "Accept": "text/csv"})
    try:
        return urllib.request.urlopen(request, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code
while True:
    try:
        ask("/ping")
        break
    except OSError:
        time.sleep(0.1)
for kind, name in zip(sys.argv[1::2], sys.argv[2::2]):
    ask("/invocations", open("/opt/ml/requests/" + name, "rb").read(), kind)
"""


@dataclass
class ByHand:
    """One pass over the sample; ``run`` returns its wall time in seconds."""

    engine: Engine
    registry: Registry
    labels: dict[str, str]

    def run(self, context: Path) -> float:
        started = time.monotonic()
        name = f"{self.registry.host}/byhand/{uuid.uuid4().hex}"
        self.engine.client.images.build(path=str(context), tag=name, rm=True, forcerm=True, labels=self.labels)
        credentials = {"username": self.registry.username, "password": self.registry.password}
        self.engine.client.images.push(name, auth_config=credentials)
        self.engine.remove_image(f"{name}:latest")
        self._read_layers(name)
        self.engine.client.images.pull(name, tag="latest", auth_config=credentials)
        try:
            self.containers(name, context)
        finally:
            self.engine.remove_image(f"{name}:latest")
        self._copy(name)
        return time.monotonic() - started

    def containers(self, name: str, context: Path, phases: Sequence[str] = ("train", "serve")) -> float:
        """Run the image ``name``, which the engine has, once for each of the test step's ``phases``, in their order.

        Returns the wall time in seconds.
        """
        started = time.monotonic()
        volume = self.engine.create_volume(labels=self.labels)
        try:
            whole = 0.0
            for phase in phases:
                if phase.startswith("serve"):
                    self._serve(name, str(volume.name))
                else:
                    whole = self._train(name, str(volume.name), context, phase, whole / 2)
        finally:
            self.engine.remove_volume(str(volume.name))
        return time.monotonic() - started

    def _read_layers(self, name: str) -> None:
        repository = name.partition("/")[2]
        base = f"http://{self.registry.host}/v2/{repository}"
        manifest = requests.get(
            f"{base}/manifests/latest", auth=self.registry.auth, headers={"Accept": MANIFEST}, timeout=30
        ).json()
        for layer in manifest["layers"]:
            with (
                requests.get(
                    f"{base}/blobs/{layer['digest']}", auth=self.registry.auth, stream=True, timeout=60
                ) as got,
                tarfile.open(fileobj=got.raw, mode="r|gz") as archive,
            ):
                for _member in archive:
                    pass

    def _train(self, name: str, volume: str, context: Path, phase: str, middle: float) -> float:
        """Stop it after ``middle`` seconds where ``phase`` is that. Returns the seconds that it ran."""
        train = self._container(name, "train", volume)
        is_bad = phase.startswith("train-values")
        self._send(train, context, VALUES | BAD_VALUE if is_bad else VALUES)
        started = time.monotonic()
        train.start()
        if phase == "train-stop":
            time.sleep(max(0.0, started + middle - time.monotonic()))
            train.kill("SIGTERM")
        code = train.wait()["StatusCode"]
        seconds = time.monotonic() - started
        assert (code != 0) == (is_bad or phase == "train-stop"), train.logs()
        self.engine.remove_container(str(train.id))
        return seconds

    def _serve(self, name: str, volume: str) -> None:
        serve = self._container(name, "serve", volume)
        serve.start()
        asks = ["text/csv", "request.csv", "text/csv; charset=utf-8", "request.csv", "application/json", "request.json",
                "text/csv", "bad.csv"]  # fmt: skip
        done = self.engine.execute(str(serve.id), ["python3", "-c", PROBE, *asks])
        assert done.exit_code == 0, done.output
        serve.stop(timeout=30)
        self.engine.remove_container(str(serve.id))

    def _container(self, name: str, command: str, volume: str) -> Container:
        return self.engine.create_container(
            f"{name}:latest", labels=self.labels, command=[command], network_mode="none",
            volumes={volume: {"bind": ML, "mode": "rw"}}, mem_limit="2g", nano_cpus=2_000_000_000,
        )  # fmt: skip

    def _send(self, container: Container, context: Path, values: Mapping[str, str]) -> None:
        buffer = io.BytesIO()
        files: dict[str, bytes] = {
            "input/config/hyperparameters.json": json.dumps(values).encode(),
            "input/config/inputdataconfig.json": json.dumps({"train": {"ContentType": "text/csv"}}).encode(),
            "input/config/resourceconfig.json": json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}).encode(),
        }
        for path in (context / "sample" / "train").iterdir():
            files[f"input/data/train/{path.name}"] = path.read_bytes()
        for path in (context / "sample").glob("*.*"):
            files[f"requests/{path.name}"] = path.read_bytes()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for folder in ("model", "output"):
                entry = tarfile.TarInfo(folder)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            for path_, content in files.items():
                entry = tarfile.TarInfo(path_)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        container.put_archive(ML, buffer.getvalue())

    def _copy(self, name: str) -> None:
        credentials = f"{self.registry.username}:{self.registry.password}"
        copy: list[Any] = ["skopeo", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"]
        copy += ["--src-creds", credentials, "--dest-creds", credentials]
        target = f"docker://{self.registry.host}/byhand-copies/{uuid.uuid4().hex}:v"
        subprocess.run([*copy, f"docker://{name}:latest", target], check=True, capture_output=True, timeout=300)
