"""moto's buckets from the inside: what is there, and how to bring it back after a restart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from moto.s3.models import s3_backends


def _backend(account: str) -> Any:
    return s3_backends[account]["aws"]


def create(account: str, region: str, name: str) -> None:
    """Make the bucket unless the account has it."""
    if name not in _backend(account).buckets:
        _backend(account).create_bucket(name, region)


def owner_of(name: str) -> str | None:
    owned = s3_backends.bucket_accounts.get(name)
    return str(owned[1]) if owned else None


def missing(account: str, region: str, uri: str) -> str:
    """Why nothing can be read under the ``s3://`` address; empty when something can."""
    parts = urlsplit(uri)
    bucket = _backend(account).buckets.get(parts.netloc)
    if bucket is None:
        return f"The S3 bucket {parts.netloc} does not exist or cannot be accessed."
    if bucket.region_name != region:
        return f"The S3 bucket {parts.netloc} is in {bucket.region_name}, not in {region}."
    prefix = parts.path.lstrip("/")
    if not any(key.startswith(prefix) for key in bucket.keys):
        return f"No S3 objects found under prefix {uri!r}."
    return ""


class Shelf:
    """Copies of written objects below one folder, so that a restarted stand-in still holds them."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def restore(self) -> None:
        """Put every kept bucket and object back into moto."""
        if self.folder is None or not self.folder.exists():
            return
        for described in sorted(self.folder.glob("*/*/bucket.json")):
            about = json.loads(described.read_text(encoding="utf-8"))
            create(about["account"], about["region"], about["name"])
            for kept in described.parent.glob("*.object"):
                stored = _backend(about["account"]).put_object(
                    about["name"], unquote(kept.name.removesuffix(".object")), kept.read_bytes()
                )
                metadata = kept.with_suffix(".json")
                if metadata.exists():
                    stored.set_metadata(json.loads(metadata.read_text(encoding="utf-8")))

    def keep_bucket(self, account: str, region: str, name: str) -> Path | None:
        if self.folder is None:
            return None
        folder = self.folder / account / name
        folder.mkdir(parents=True, exist_ok=True)
        about = {"account": account, "region": region, "name": name}
        (folder / "bucket.json").write_text(json.dumps(about), encoding="utf-8")
        return folder

    def keep_object(self, account: str, name: str, key: str) -> None:
        """Copy one object out of moto, as it now is."""
        if self.folder is None:
            return
        stored = _backend(account).get_object(name, key)
        folder = self.keep_bucket(account, _backend(account).buckets[name].region_name, name)
        file = quote(key, safe="")
        if stored is None or folder is None or len(file) > 240:
            return
        (folder / f"{file}.json").write_text(json.dumps(dict(stored.metadata)), encoding="utf-8")
        (folder / f"{file}.object").write_bytes(stored.value)
