"""axe-core finds nothing: contrast, labels, roles and order, with everything open and with evidence shown."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import Open
from tests.browser.test_page import OPEN_ALL

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light"), (1440, "dark")])
def test_axe_finds_no_violation(opened: Open, report: Path, width: int, scheme: str) -> None:
    page = opened(report, width, scheme)
    page.evaluate(OPEN_ALL)
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
    assert len(found.response["passes"]) > 20  # it looked


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_in_evidence(opened: Open, everything: Path, scheme: str) -> None:
    page = opened(everything, scheme=scheme)
    for section in ("#tables", "#verdict"):
        page.locator(f"{section} td button[popovertarget]").first.click()
        shown = page.locator(":popover-open").get_attribute("id")
        found = Axe().run(page, context=f"#{shown}", options=RULES)
        assert found.violations_count == 0, found.generate_report()
        page.keyboard.press("Escape")
