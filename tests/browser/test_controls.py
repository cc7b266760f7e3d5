"""What a reader can press: heads that sort, the filter, evidence that opens, links that lead to what is closed."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import PUBLISHED, Open


def column(table: Locator, place: int) -> list[float | None]:
    """The numbers of a column, None for a dash, in the order that they are shown in."""
    cells: list[str] = table.evaluate(
        "(table, place) => [...table.tBodies[0].rows].map((row) => row.cells[place].innerText)", place
    )
    found = [re.match(r"\d+(\.\d+)?", cell.strip()) for cell in cells]
    assert all(one or cell.strip().startswith("–") for one, cell in zip(found, cells, strict=True))
    return [float(one.group()) if one else None for one in found]


def with_dashes(page: Page) -> tuple[Locator, int]:
    """A table and one of its columns that has numbers and dashes."""
    for table in page.locator("#tables table").all():
        for place in range(1, table.locator("thead th").count()):
            values = column(table, place)
            if None in values and len({value for value in values if value is not None}) > 2:
                return table, place
    raise AssertionError("no column has both")


def test_a_head_sorts_by_number_with_dashes_last_and_again_the_other_way_round(opened: Open, everything: Path) -> None:
    table, place = with_dashes(opened(everything))
    before = column(table, place)
    heads = table.locator("thead th")
    pressed = heads.nth(place)
    numbers = sorted(value for value in before if value is not None)
    dashes = [None] * before.count(None)
    pressed.locator("button").click()
    assert column(table, place) == [*reversed(numbers), *dashes]
    expect(pressed).to_have_attribute("aria-sort", "descending")
    pressed.locator("button").press("Enter")
    assert column(table, place) == [*numbers, *dashes]
    expect(pressed).to_have_attribute("aria-sort", "ascending")
    other = heads.nth(0)
    other.locator("button").click()
    expect(other).to_have_attribute("aria-sort", "ascending")
    assert pressed.get_attribute("aria-sort") is None


def test_names_sort_as_words(opened: Open) -> None:
    table = opened(PUBLISHED).locator("#tables table").first
    table.locator("thead button").first.click()
    names = table.locator("tbody th").all_inner_texts()
    assert len(names) > 2
    assert names == sorted(names, key=str.casefold)


def test_sorting_moves_whole_rows(opened: Open, report: Path) -> None:
    page = opened(report)
    table = page.locator("#tables table").first
    rows = "(table) => [...table.tBodies[0].rows].map((row) => row.innerText)"
    before: list[str] = table.evaluate(rows)
    for button in table.locator("thead button").all():
        button.click()
        assert sorted(table.evaluate(rows)) == sorted(before)


@pytest.mark.parametrize("words", ["lsp", "LSP cifar", "vanilla table1"])
def test_the_filter_leaves_what_holds_every_word_and_counts_it(opened: Open, report: Path, words: str) -> None:
    page = opened(report)
    every: list[str] = page.evaluate("[...document.querySelectorAll('[data-words]')].map((part) => part.dataset.words)")
    expected = [text for text in every if all(word in text.lower() for word in words.lower().split())]
    assert 0 < len(expected) < len(every)
    visible = "[...document.querySelectorAll('[data-words]')].filter((p) => !p.hidden).map((p) => p.dataset.words)"
    page.get_by_role("searchbox").fill(words)
    assert page.evaluate(visible) == expected
    assert page.evaluate(
        "[...document.querySelectorAll('[hidden]')].every((p) => getComputedStyle(p).display === 'none')"
    )
    expect(page.get_by_role("status")).to_contain_text(str(len(expected)))
    page.get_by_role("searchbox").fill("")
    assert page.evaluate(visible) == every
    expect(page.get_by_role("status")).to_have_text("")


def test_a_filter_that_nothing_holds_says_so(opened: Open, everything: Path) -> None:
    page = opened(everything)
    page.get_by_role("searchbox").fill("no such word")
    assert page.locator("[data-words]:visible").count() == 0
    expect(page.get_by_role("status")).to_contain_text("0")


@pytest.mark.parametrize("width", [360, 1440])
def test_evidence_opens_by_keyboard_inside_the_window_and_closes_by_escape(
    opened: Open, report: Path, width: int
) -> None:
    page = opened(report, width)
    for section in ("#tables", "#verdict"):
        button = page.locator(f"{section} td button[popovertarget]").first
        if not button.count():  # no claim was judged
            continue
        target = page.locator(f"[id='{button.get_attribute('popovertarget')}']")
        expect(target).to_be_hidden()
        button.focus()
        page.keyboard.press("Enter")
        expect(target).to_be_visible()
        box = target.bounding_box()
        assert box is not None
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 900
        page.keyboard.press("Escape")
        expect(target).to_be_hidden()
        assert button.evaluate("(button) => button === document.activeElement")


def test_evidence_leads_to_its_run_and_opens_it(opened: Open, report: Path) -> None:
    page = opened(report)
    button = page.locator("#tables tbody tr:last-child td button").last
    button.click()
    link = page.locator(":popover-open a[href^='#']").last
    target = page.locator(f"[id='{(link.get_attribute('href') or '')[1:]}']")
    link.click()
    assert page.evaluate("document.querySelectorAll(':popover-open').length") == 0
    assert target.evaluate("(part) => part.open")
    expect(target.locator("summary").first).to_be_in_viewport()


def test_an_address_with_a_run_opens_it(opened: Open, report: Path) -> None:
    page = opened(report)
    closed = page.locator("details[id]:not([open])").first.get_attribute("id")
    again = opened(report, anchor=f"#{closed}")
    assert again.locator(f"[id='{closed}']").evaluate("(part) => part.open")
    expect(again.locator(f"[id='{closed}'] summary").first).to_be_in_viewport()


def test_the_first_key_reaches_a_link_past_the_head(opened: Open, report: Path) -> None:
    page = opened(report)
    page.keyboard.press("Tab")
    first = page.locator(":focus")
    expect(first).to_be_in_viewport()
    first.press("Enter")
    assert page.evaluate("location.hash") == "#verdict"
