"""Fixtures that several service tests share."""

from tests.aws_fixtures import aws, standin, standin_server
from tests.registry_fixtures import registry

__all__ = ["aws", "registry", "standin", "standin_server"]
