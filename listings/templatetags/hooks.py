"""How deliveries are written, everywhere the same."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from listings import links
from listings.models import Decision, Delivery, Provider, Run, SourceKind, Webhook
from listings.queries.webhooks import start_of
from listings.services.pushes import short
from listings.services.webhooks import name_of
from listings.templatetags.slipway import tag

register = template.Library()

#: A decision as the state that looks like it. What somebody must look at stands out; the rest is calm.
_LOOK = {
    Decision.BUILT: "pass",
    Decision.ACKNOWLEDGED: "skip",
    Decision.REPEATED: "superseded",
    Decision.IGNORED: "cancelled",
    Decision.REFUSED: "warn",
    Decision.FAILED: "failed",
}


@register.simple_tag
def decision(delivery: Delivery) -> SafeString:
    """The decision as a pill, with icon and word."""
    return tag(_LOOK[Decision(delivery.decision)], delivery.get_decision_display())


@register.simple_tag
def decision_tag(value: str) -> SafeString:
    return tag(_LOOK[Decision(value)], Decision(value).label)


@register.filter
def short_commit(commit: str) -> str:
    return short(commit)


@register.filter
def pushed(delivery: Delivery) -> str:
    """What a delivery tells of, in a few words: ``push to main``."""
    if delivery.ref and delivery.commit:
        return f"{delivery.event} of {delivery.ref}"
    return f"{delivery.event} {delivery.ref}".strip() or "request"


@register.simple_tag
def started_by(run: Run) -> SafeString | str:
    """The push that started a run, linked to its delivery: “a push to main (6dcb09b) by alice”."""
    found = start_of(run)
    if found is None:
        return "a webhook"
    is_tag = run.version.source_kind == SourceKind.IMAGE or not run.version.git_branch
    words = f"a push of tag {found.ref}" if is_tag else f"a push to {found.ref}"
    by = f" by {found.sender}" if found.sender else ""
    return format_html('<a href="{}">{}</a> ({}){}', links.delivery(found), words, short(found.commit), by)


@register.filter
def webhook_name(webhook: Webhook) -> str:
    return name_of(webhook)


@register.filter
def sender(webhook: Webhook) -> str:
    """Where somebody sets it up, within a sentence."""
    return "the registry" if webhook.provider == Provider.REGISTRY else webhook.get_provider_display()
