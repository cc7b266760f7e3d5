"""axe-core finds nothing: labels, roles, order and contrast, with all parts open and with evidence shown."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import PUBLISHED, Open
from tests.browser.test_page import OPEN_ALL

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
CONTRAST = "color-contrast"  # by far the slowest rule, and the only one that knows light from dark
ALIKE = [["tr ~ tr ~ tr ~ tr"], [".shot ~ .shot ~ .shot"], ["details ~ details ~ details"]]  # as those before them


def violations(page: Page, rules: list[str], context: Any = None, *, contrast: bool = True) -> str:
    """What axe-core finds, as text; empty where it finds nothing. context: the part that it looks at."""
    switched = {} if contrast else {CONTRAST: {"enabled": False}}
    options = {"runOnly": rules, "resultTypes": ["violations"], "rules": switched}
    found = Axe().run(page, context=context, options=options)
    return found.generate_report() if found.violations_count else ""


def test_axe_finds_no_fault_with_everything_open(opened: Open, report: Path) -> None:
    page = opened(report, width=1440 if report == PUBLISHED else 360)
    page.evaluate(OPEN_ALL)
    assert not violations(page, RULES, contrast=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(opened: Open, report: Path, scheme: str) -> None:
    page = opened(report, scheme=scheme)
    assert not violations(page, [CONTRAST], {"exclude": ALIKE})


def test_axe_finds_no_fault_in_evidence(opened: Open, everything: Path) -> None:
    page = opened(everything)
    for section in ("#tables", "#verdict"):
        page.locator(f"{section} td button[popovertarget]").first.click()
        shown = page.locator(":popover-open").get_attribute("id")
        assert not violations(page, RULES, f"#{shown}")
        page.keyboard.press("Escape")


def test_axe_finds_what_is_wrong(opened: Open, everything: Path) -> None:
    page = opened(everything)
    page.add_style_tag(content=":root { --quiet: #ccc !important }")
    page.locator("#filter").evaluate("(field) => field.removeAttribute('aria-label')")
    page.locator("#filter").evaluate("(field) => field.removeAttribute('placeholder')")
    found = violations(page, RULES, {"include": ["header", "nav"]})
    assert CONTRAST in found
    assert "label" in found
