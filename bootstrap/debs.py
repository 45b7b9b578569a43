"""One file-system layer from .deb packages, merged as a stream, without running their scripts and without root."""

import io
import subprocess
import tarfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.run import run

# Debian 12 keeps these as links into /usr; .deb files still carry some of their content under the old names.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SKIPPED = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/")
DIRECTORIES = {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "proc": 0o555, "sys": 0o555, "dev": 0o755}
ACCOUNTS = {
    "usr/share/base-passwd/passwd.master": "etc/passwd",
    "usr/share/base-passwd/group.master": "etc/group",
}


def download(packages: Sequence[str], into: Path) -> list[Path]:
    """Fetch packages and all that they depend on, as for an empty system. Works as any user."""
    (into / "partial").mkdir(parents=True, exist_ok=True)
    status = into / "status"
    status.write_text("")
    options = {
        "Dir::State::status": status,
        "Dir::Cache::archives": into,
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Debug::NoLocking": "true",
    }
    flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
    command, fetch = ["apt-get", "-qq", "-y", *flags], ["--download-only", "install", *packages]
    try:
        run([*command, *fetch], "Fetching the base image's packages")
    except SetupError:
        # The system's package lists are missing or weeks old. They are root's, so others are fetched here.
        (into / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        command += ["-o", f"Dir::State::lists={into / 'lists'}"]
        run([*command, "update"], "Fetching package lists")
        run([*command, *fetch], "Fetching the base image's packages")
    return sorted(into.glob("*.deb"))


class Layer:
    """A tar file under construction."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.GNU_FORMAT)  # noqa: SIM115 (closed by finish)
        self._stanzas: list[str] = []
        self._made: set[str] = set()

    def add_file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode, entry.mtime = len(data), mode, int(time.time())
        self._tar.addfile(entry, io.BytesIO(data))

    def add_link(self, name: str, target: str) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self._tar.addfile(entry)

    def add_directory(self, name: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode = tarfile.DIRTYPE, mode
        self._made.add(name)
        self._tar.addfile(entry)

    def add_deb(self, path: Path) -> None:
        """Merge the files of one package, and note it as installed."""
        command = ["dpkg-deb", "--fsys-tarfile", str(path)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as unpacked,
            tarfile.open(fileobj=unpacked.stdout, mode="r|") as source,
        ):
            for entry in source:
                self._merge(source, entry)
        if unpacked.returncode:
            raise subprocess.CalledProcessError(unpacked.returncode, command)
        fields = run(["dpkg-deb", "--field", path], "Reading a package").rstrip("\n").split("\n")
        self._stanzas.append("\n".join([fields[0], "Status: install ok installed", *fields[1:]]) + "\n")

    def _merge(self, source: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        entry.name = merged_name(entry.name)
        if not entry.name or entry.name in self._made and entry.isdir():
            return
        if f"{entry.name}/".startswith(SKIPPED) or entry.name in MERGED:
            return
        if entry.islnk():
            entry.linkname = merged_name(entry.linkname)
        if entry.isdir():
            self._made.add(entry.name)
        data = source.extractfile(entry) if entry.isreg() else None
        if data is not None and entry.name in ACCOUNTS:
            content = data.read()
            self.add_file(ACCOUNTS[entry.name], content)
            data = io.BytesIO(content)
        if not entry.name.endswith("/EXTERNALLY-MANAGED"):
            self._tar.addfile(entry, data)

    def finish(self) -> None:
        self.add_file("var/lib/dpkg/status", "\n".join(self._stanzas).encode())
        self._tar.close()


def merged_name(name: str) -> str:
    """Where a path of a package really lies once /bin, /lib and the like are links into /usr."""
    name = name.removeprefix("./").strip("/")
    name = "" if name == "." else name
    return f"usr/{name}" if name.split("/", 1)[0] in MERGED else name


def build_layer(packages: Iterable[Path], into: Path, links: dict[str, str], files: dict[str, bytes]) -> None:
    """Write the layer that the packages, some links and some files make."""
    layer = Layer(into)
    for name in ("usr", *(f"usr/{part}" for part in MERGED)):
        layer.add_directory(name)
    for name in MERGED:
        layer.add_link(name, f"usr/{name}")
    for name, mode in DIRECTORIES.items():
        layer.add_directory(name, mode)
    for path in packages:
        layer.add_deb(path)
    for name, target in links.items():
        layer.add_link(name, target)
    for name, data in files.items():
        layer.add_file(name, data)
    layer.finish()
