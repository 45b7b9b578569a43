"""Typed models of what SageMaker and the Marketplace must be told of one version. Pure: no Django, no network.

``parse`` and ``parse_bytes`` read ``slipway.yaml``, ``from_data`` reads form data; all three raise
SpecErrors with every problem. ``VersionSpec.stored`` reads back what ``as_json`` gave.
"""

from listings.spec.emit import json_schema
from listings.spec.errors import SpecErrors, SpecProblem
from listings.spec.models import VersionSpec
from listings.spec.names import aws_name, resource_name
from listings.spec.parse import from_data, parse, parse_bytes
from listings.spec.publication import publication_problems

__all__ = [
    "SpecErrors",
    "SpecProblem",
    "VersionSpec",
    "aws_name",
    "from_data",
    "json_schema",
    "parse",
    "parse_bytes",
    "publication_problems",
    "resource_name",
]
