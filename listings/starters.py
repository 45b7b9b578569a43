"""Files to begin with: a small source that works, for either kind of listing."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

_ROOT = Path(__file__).parent / "starter_files"
_FOLDERS = {"Algorithm": "algorithm", "ModelPackage": "model_package"}
_EXECUTABLE = {"train", "serve"}
#: A fixed moment keeps downloads the same byte for byte.
_TIME = (1980, 1, 1, 0, 0, 0)


def starter_names(kind: str) -> list[str]:
    """The files of a starter, as paths below its root. Raises KeyError for an unknown kind."""
    folder = _ROOT / _FOLDERS[kind]
    # What Python or an editor leaves behind is no part of a starter.
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in files if "__pycache__" not in path.parts and not path.name.startswith("."))


def starter_file(kind: str, name: str) -> bytes:
    """One file of the starter. Raises KeyError for an unknown kind or name."""
    if name not in starter_names(kind):
        raise KeyError(name)
    return (_ROOT / _FOLDERS[kind] / name).read_bytes()


def starter_zip(kind: str) -> bytes:
    """The whole starter as a zip, with executable bits; a model package's holds its ``model.tar.gz`` too."""
    files = {name: starter_file(kind, name) for name in starter_names(kind)}
    model = {name.removeprefix("model/"): content for name, content in files.items() if name.startswith("model/")}
    if model:
        files["model.tar.gz"] = _tar_gz(model)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system = 3  # Unix: the attributes below are mode bits
            info.external_attr = (0o100755 if name in _EXECUTABLE else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, files[name])
    return target.getvalue()


def _tar_gz(files: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            archive.addfile(info, io.BytesIO(content))
    return target.getvalue()
