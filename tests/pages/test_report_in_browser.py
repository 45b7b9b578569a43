"""The report, the comparison and the resource plot in a real browser: widths, colours, contrast, keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
from playwright.sync_api import Page, expect

from listings.models import Listing, Run, Version
from listings.services import versions
from tests import flow, twin_facts
from tests.browser import expect_no_sideways_scroll
from tests.pages.test_report_pages import address, end_in_failure, next_version

pytestmark = pytest.mark.django_db(transaction=True)
Open = Callable[..., Page]

#: Every text that stands on a ground of its own, with the contrast of the two (WCAG 2).
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = rgb(getComputedStyle(e).backgroundColor);
      if (colour[3] > 250) return colour;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const element of document.querySelectorAll('main *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('.visually-hidden, .btn')) continue;
    const style = getComputedStyle(element);
    const front = light(rgb(element instanceof SVGElement ? style.fill : style.color));
    const back = light(ground(element));
    const ratio = (Math.max(front, back) + .05) / (Math.min(front, back) + .05);
    if (ratio < 4.5) poor.push([element.outerHTML.slice(0, 80), ratio.toFixed(2)]);
  }
  return poor;
}"""


@pytest.fixture
def runs(seller: Any, listing: Listing, draft: Version) -> tuple[Run, Run]:
    """A run that passed, and the next version's, which fails."""
    passed = versions.submit_version(seller, draft)
    flow.run_through(passed, **twin_facts.good())
    later = next_version(seller, listing)
    end_in_failure(later)
    return passed, later


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_scrolls_sideways_and_every_text_can_be_read(
    open_window: Open, seller: Any, runs: tuple[Run, Run], width: int, theme: Literal["light", "dark"]
) -> None:
    page = open_window(seller, width=width, theme=theme)
    for url in (address(runs[0]), address(runs[1]), address(runs[1], "compare/"), address(runs[1], "")):
        page.goto(url)
        page.evaluate("document.querySelectorAll('main details').forEach((each) => { each.open = true; })")
        expect_no_sideways_scroll(page)
        assert page.evaluate(CONTRASTS) == [], url
        shown = page.locator(".trace:visible")  # one of each two
        assert {each.get_attribute("class") for each in shown.all()} <= {
            f"trace is-{'small' if width == 390 else 'wide'}"
        }


def test_the_keyboard_opens_what_is_folded_and_follows_a_line_into_the_log(
    open_window: Open, seller: Any, runs: tuple[Run, Run]
) -> None:
    page = open_window(seller)
    page.goto(address(runs[1]))
    layer = page.locator(".layer > summary").nth(1)
    layer.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("libtorch_cpu.so")).to_be_visible()
    page.locator(".fold > summary", has_text="What passes").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("TEST-TRAIN-EXIT")).to_be_visible()
    page.get_by_role("link", name="log 12").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/1/#test-1-L12")


def test_another_run_is_chosen_on_the_page(open_window: Open, seller: Any, runs: tuple[Run, Run]) -> None:
    page = open_window(seller)
    page.goto(address(runs[0], "compare/"))
    expect(page.get_by_role("heading", name="No earlier run has passed")).to_be_visible()
    page.get_by_label("Compare with").select_option("1.1.0/1")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1.1.0 → 1.0.0")
    expect(page.locator("#verdict")).to_contain_text("improvement")
