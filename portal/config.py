"""Every setting that the environment can give, typed. ``SLIPWAY_`` prefixed, but for the conventional names.

An unknown ``SLIPWAY_*`` variable is refused and names the nearest known one; a missing value is an error
only in production.
"""

from __future__ import annotations

import difflib
import os
import socket
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "SLIPWAY_"
ROOT = Path(__file__).resolve().parent.parent


class ConfigError(Exception):
    """The environment cannot be used as it is; the message says what to change."""


class SlipwaySettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    env: Literal["demo", "development", "test", "production"] = "development"
    secret_key: SecretStr = SecretStr("")
    #: Fernet keys that seal stored secrets, newest first, comma-separated.
    encryption_keys: SecretStr = SecretStr("")
    data_dir: Path = ROOT / "var"
    public_url: str = "http://127.0.0.1:8000"
    allowed_hosts: str = ""
    log_level: str = "INFO"
    #: One JSON object a line; not said, it is so in production.
    json_logs: bool | None = None
    signup: Literal["open", "closed"] = "open"

    database_url: str = Field("", validation_alias=AliasChoices("DATABASE_URL"))
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias=AliasChoices("REDIS_URL"))

    mail_url: str = ""
    mail_from: str = "Slipway <slipway@localhost>"

    #: A registry has several names: as the engine reaches it, and as worker processes do.
    staging_registry_engine: str = "127.0.0.1:5000"
    staging_registry_worker: str = "127.0.0.1:5000"
    staging_username: str = "slipway"
    staging_password: SecretStr = SecretStr("")

    aws_endpoint_url: str = ""
    aws_region: str = "us-east-1"
    aws_poll_seconds: float = 30.0

    worker_host: str = Field(default_factory=socket.gethostname)
    engine_slots: int = 2
    lease_seconds: float = 20.0
    heartbeat_seconds: float = 5.0
    tick_seconds: float = 5.0
    reap_seconds: float = 15.0
    #: Below this much free disk a worker takes no work and the portal says that it is not ready.
    disk_floor_mb: int = 1024
    #: What a scraper of /metrics must send as a bearer token. Empty: this machine only, and in production nobody.
    metrics_token: SecretStr = SecretStr("")
    hint_repeat_seconds: float = 30.0
    infrastructure_retries: int = 3
    team_concurrency: int = 2
    build_concurrency: int = 2
    test_concurrency: int = 2

    fetch_timeout_seconds: float = 600
    build_timeout_seconds: float = 3600
    inspect_timeout_seconds: float = 900
    scan_timeout_seconds: float = 900
    test_timeout_seconds: float = 7200
    push_timeout_seconds: float = 3600
    register_timeout_seconds: float = 24 * 3600
    publish_timeout_seconds: float = 24 * 3600

    upload_max_bytes: int = 5 * 1024**3
    source_max_bytes: int = 5 * 1024**3
    source_max_files: int = 200_000
    #: Of an existing image that is fetched: its layers together, as the registry keeps them.
    image_max_bytes: int = 10 * 1024**3
    #: Hosts (``name``, ``name:port`` or an address) that sources may come from although they are in a private network.
    source_allow_hosts: str = ""
    webhook_max_bytes: int = 25 * 1024**2
    invitation_days: int = 7
    #: How long after its run's end an image that nobody needs stays in the staging registry; 0 keeps them all.
    staging_days: int = 30

    build_memory_mb: int = 4096
    build_cpus: float = 2.0
    build_pids: int = 1024
    build_disk_mb: int = 20_480
    #: Private networks that builds may reach, and registries in them that they may start from (CIDR, comma-separated).
    build_allow_networks: str = ""
    #: Name servers for builds; empty means those that the engine gives its containers.
    build_dns: str = ""
    #: A control group that the operator has limited, for engines whose own groups cannot nest (cgroup v2, systemd).
    build_cgroup_parent: str = ""
    #: A small local image with sh, sleep, ip, df and cat.
    build_room_image: str = "slipway.local/busybox:1"

    #: What becomes of an image whose USER is not root: SageMaker expects root, though some such images do work.
    nonroot_user: Literal["fail", "warn"] = "fail"

    test_memory_mb: int = 8192
    test_cpus: float = 2.0
    test_pids: int = 1024
    test_disk_mb: int = 4096
    test_inodes: int = 100_000
    #: A table of instance types in place of Slipway's own (workers/sandbox/resources/instances.json): sizes and prices.
    instances_file: Path | None = None
    #: What the isolated test's own container is built from: anything with Python 3.11 or newer.
    holder_base_image: str = "slipway.local/python:3.11-bookworm"
    ping_deadline_seconds: float = 480.0
    idle_timeout_seconds: float = 1800.0

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value if value.is_absolute() else ROOT / value

    @property
    def is_demo(self) -> bool:
        return self.env == "demo"

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    def step_timeout(self, step: str) -> float:
        """Wall-clock limit of a step in seconds."""
        return float(getattr(self, f"{step}_timeout_seconds"))


def refuse_unknown() -> None:
    """Raises ConfigError for a SLIPWAY_* variable that no setting reads."""
    known = {PREFIX + name.upper() for name in SlipwaySettings.model_fields} - {
        "SLIPWAY_DATABASE_URL",
        "SLIPWAY_REDIS_URL",
    }
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{name} is not a setting of Slipway.{hint}")


def require_in_production(config: SlipwaySettings) -> None:
    """Raises ConfigError naming what production lacks."""
    needed = {
        "SLIPWAY_SECRET_KEY": config.secret_key.get_secret_value(),
        "SLIPWAY_ENCRYPTION_KEYS": config.encryption_keys.get_secret_value(),
        "SLIPWAY_ALLOWED_HOSTS": config.allowed_hosts,
        "SLIPWAY_STAGING_PASSWORD": config.staging_password.get_secret_value(),
        "SLIPWAY_MAIL_URL": config.mail_url,
        "DATABASE_URL": config.database_url,
        "REDIS_URL": os.environ.get("REDIS_URL", ""),
    }
    missing = [name for name, value in needed.items() if not value]
    if missing:
        raise ConfigError(f"SLIPWAY_ENV=production needs {', '.join(missing)}.")
    if not config.public_url.startswith("https://"):
        raise ConfigError("SLIPWAY_ENV=production needs SLIPWAY_PUBLIC_URL with https.")


def load() -> SlipwaySettings:
    refuse_unknown()
    config = SlipwaySettings()
    if not config.redis_url.startswith(("redis://", "rediss://")):
        raise ConfigError("REDIS_URL must begin with redis:// or rediss://.")
    if config.is_production:
        require_in_production(config)
    return config
