"""Clients that act as a team's own role. Slipway stores the role's name, never a key.

The platform's own credentials (instance role, environment) may do one thing: assume the teams' roles.
What STS hands out lives in memory and is renewed by botocore before it expires.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.loaders import create_loader
from django.conf import settings

from listings.problems import ProblemError
from workers.aws.errors import aws_errors

#: The Marketplace Catalog has one endpoint for all sellers (Marketplace Catalog API reference, endpoints).
CATALOG_REGION = "us-east-1"
SESSION_SECONDS = 3600


class AwsTeam(Protocol):
    """The fields of listings.models.Team that a connection is made of."""

    @property
    def aws_account_id(self) -> str: ...
    @property
    def aws_region(self) -> str: ...
    @property
    def aws_role_arn(self) -> str: ...
    @property
    def aws_external_id(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Connection:
    """Whom to become, and where. ``endpoint_url`` empty means AWS itself."""

    account_id: str
    region: str
    role_arn: str
    external_id: str
    endpoint_url: str = ""

    @classmethod
    def of(cls, team: AwsTeam) -> Connection:
        """Raises ProblemError AWS-NOT-CONNECTED naming the fields that the team has not filled."""
        wanted = {"AWS account": team.aws_account_id, "Region": team.aws_region, "role ARN": team.aws_role_arn}
        missing = [name for name, value in wanted.items() if not value]
        if missing:
            raise ProblemError("AWS-NOT-CONNECTED", missing=", ".join(missing))
        return cls(
            team.aws_account_id,
            team.aws_region,
            team.aws_role_arn,
            str(team.aws_external_id),
            settings.SLIPWAY.aws_endpoint_url,
        )


def _is_aws(endpoint_url: str) -> bool:
    """Whether the address is AWS's own (public or a VPC endpoint) and so checks signatures."""
    host = urlsplit(endpoint_url).hostname or ""
    return not endpoint_url or host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws"))


def client_config(endpoint_url: str) -> Config:
    """Bounded waits, bounded retries; path-style buckets where a bucket cannot be a host name."""
    return Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "max_attempts": 5},
        user_agent_extra="slipway",
        s3={"addressing_style": "auto" if _is_aws(endpoint_url) else "path"},
    )


#: Service models are large and never change: read once for all teams, not once for each.
_loader = create_loader()


def _core_session() -> botocore.session.Session:
    core = botocore.session.get_session()
    core.register_component("data_loader", _loader)
    return core


class Clients:
    """Clients of one connection; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._made: dict[str, Any] = {}
        self._session = self._assumed_session()

    @property
    def account_id(self) -> str:
        return self.connection.account_id

    @property
    def region(self) -> str:
        return self.connection.region

    def client(self, name: str) -> Any:
        """A boto3 client by service name, e.g. ``ecr``; each is made once."""
        region = CATALOG_REGION if name == "marketplace-catalog" else self.connection.region
        with self._lock:
            if name not in self._made:
                self._made[name] = self._client(self._session, name, region)
            return self._made[name]

    def verify_account(self) -> None:
        """Raises ProblemError AWS-ACCOUNT-MISMATCH when the role belongs to another account than the team says."""
        with aws_errors("ask whose account the team's role belongs to"):
            actual = str(self.client("sts").get_caller_identity()["Account"])
        if actual != self.account_id:
            raise ProblemError("AWS-ACCOUNT-MISMATCH", expected=self.account_id, actual=actual)

    def _client(self, session: boto3.Session, name: str, region: str) -> Any:
        make: Any = session.client  # boto3-stubs overload the name; ours is a variable
        endpoint = self.connection.endpoint_url
        return make(name, region_name=region, endpoint_url=endpoint or None, config=client_config(endpoint))

    def _platform_session(self) -> boto3.Session:
        core = _core_session()
        if not _is_aws(self.connection.endpoint_url):
            # The stand-in checks no signatures; without this botocore would look for an instance role.
            core.set_credentials("slipway", "slipway")
        return boto3.Session(botocore_session=core, region_name=self.connection.region)

    def _assume(self) -> dict[str, str]:
        sts = self._client(self._platform_session(), "sts", self.connection.region)
        with aws_errors(f"assume {self.connection.role_arn}"):
            answer = sts.assume_role(
                RoleArn=self.connection.role_arn,
                ExternalId=self.connection.external_id,
                RoleSessionName=f"slipway-{self.connection.account_id}",
                DurationSeconds=SESSION_SECONDS,
            )
        got = answer["Credentials"]
        return {
            "access_key": got["AccessKeyId"],
            "secret_key": got["SecretAccessKey"],
            "token": got["SessionToken"],
            "expiry_time": got["Expiration"].isoformat(),
        }

    def _assumed_session(self) -> boto3.Session:
        core = _core_session()
        # botocore's own way to plug in credentials that renew themselves; it has no public setter.
        core._credentials = DeferredRefreshableCredentials(self._assume, "assume-role")  # type: ignore[attr-defined]
        return boto3.Session(botocore_session=core, region_name=self.connection.region)


_cache: dict[Connection, Clients] = {}
_cache_lock = threading.Lock()


def session_for(team: AwsTeam) -> Clients:
    """The team's clients, shared by this process. A changed connection gets new ones.

    Raises ProblemError AWS-NOT-CONNECTED; the role itself is assumed at the first call.
    """
    connection = Connection.of(team)
    with _cache_lock:
        if connection not in _cache:
            _cache[connection] = Clients(connection)
        return _cache[connection]


def forget_sessions() -> None:
    """Drop every cached connection (after a fork, or when a role's trust policy was changed)."""
    with _cache_lock:
        _cache.clear()
