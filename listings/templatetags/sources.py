"""How sources are written."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from listings import addresses
from listings.problems import ProblemError

register = template.Library()


@register.simple_tag
def repository(url: str) -> SafeString:
    """A repository's address, as a link where a browser can follow it, with a copy button."""
    try:
        web = addresses.parse_git(url).web_url
    except ProblemError:
        web = ""
    shown = format_html('<a href="{}" rel="noopener noreferrer">{}</a>', web, url) if web else url
    return format_html(
        '<span class="repository"><span class="num">{}</span><button type="button" class="copy" data-copy="{}" '
        'aria-label="Copy address"><i class="ti ti-copy" aria-hidden="true"></i></button></span>',
        shown, url,
    )  # fmt: skip
