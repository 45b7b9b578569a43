"""What code hosts and registries post: whether it is theirs, and what it says. Pure: no Django, no network, no clock.

One module per provider. Each has ``verify`` (over the raw body), ``delivery_id``, ``read`` (what the JSON says), and
``sample`` with ``sign`` for test deliveries. Header names are in lower case everywhere here.
"""

from __future__ import annotations

from types import ModuleType

from listings.hooks import bitbucket, generic, gitea, github, gitlab, registry
from listings.hooks.body import payload_of
from listings.hooks.events import Event, EventKind, Sample

__all__ = ["PROVIDERS", "Event", "EventKind", "Sample", "payload_of"]

#: The values of ``models.Provider``.
PROVIDERS: dict[str, ModuleType] = {
    "github": github,
    "gitlab": gitlab,
    "bitbucket": bitbucket,
    "gitea": gitea,
    "registry": registry,
    "generic": generic,
}
