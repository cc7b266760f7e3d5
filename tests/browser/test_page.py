"""What a report shows, at the width of a phone and of a screen, light and dark, and on paper."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.browser.conftest import PUBLISHED, Open
from tests.reporting import HOSTILE

OPEN_ALL = "for (const part of document.querySelectorAll('details')) part.open = true"


def brightness(color: str) -> float:
    """Of `rgb(r, g, b)`, from 0 to 1."""
    return sum(map(int, re.findall(r"\d+", color)[:3])) / (3 * 255)


@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_itself_never_scrolls_sideways(opened: Open, report: Path, width: int) -> None:
    page = opened(report, width)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    across = page.evaluate("""() => [...document.querySelectorAll('section, header > *, nav > *, h2, h3, h4, figure')]
        .map((part) => part.getBoundingClientRect())
        .filter((box) => box.right > innerWidth + 0.5 || box.left < -0.5)""")
    assert across == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_ground_follow_the_scheme(opened: Open, report: Path, scheme: str) -> None:
    page = opened(report, scheme=scheme)
    style = "getComputedStyle(document.body)"
    ground, text = (brightness(page.evaluate(f"{style}.{which}")) for which in ("backgroundColor", "color"))
    light, dark = (ground, text) if scheme == "light" else (text, ground)
    assert light > 0.85
    assert dark < 0.2


def test_every_link_within_the_page_and_every_popover_leads_somewhere(opened: Open, report: Path) -> None:
    page = opened(report)
    ids = page.evaluate("() => [...document.querySelectorAll('[id]')].map((part) => part.id)")
    inside = page.evaluate("() => [...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href'))")
    popovers = page.evaluate(
        "() => [...document.querySelectorAll('[popovertarget]')].map((b) => b.popoverTargetElement?.id)"
    )
    assert len(ids) == len(set(ids))
    assert len(inside) > 10
    assert {unquote(href[1:]) for href in inside} <= set(ids)
    assert len(popovers) > 10
    assert None not in popovers
    hidden = page.evaluate("() => [...document.querySelectorAll('[popover]')].map((part) => part.id)")
    assert sorted(hidden) == sorted(popovers)  # each evidence has its one button


def test_every_link_to_a_file_leads_to_one(opened: Open, report: Path) -> None:
    page = opened(report)
    found = page.evaluate("() => [...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))")
    files = [href for href in found if not href.startswith("#")]
    assert files
    for href in set(files):
        parts = urlsplit(href)
        assert not parts.scheme, href
        assert (report.parent / unquote(parts.path)).is_file(), href


def test_a_file_that_is_missing_is_named_and_not_linked(opened: Open, everything: Path) -> None:
    page = opened(everything)
    assert page.locator("text=/log \\(not there\\)/").count() > 0
    assert page.locator("a[href*='cutmix']").count() == 0


def test_hostile_names_show_as_text(opened: Open, everything: Path) -> None:
    page = opened(everything)
    assert page.title().startswith("<script>alert(1)</script> ]]> \\input{x} {{ 7*7 }}")
    shown = page.locator("body").inner_text()
    assert [name for name in HOSTILE if name not in shown] == []
    assert page.evaluate("document.scripts.length") == 1
    strange = page.evaluate("""() => [...document.querySelectorAll('*')].flatMap((part) => [...part.attributes]
        .filter((one) => one.name.startsWith('on') || one.value.startsWith('javascript:')).map((one) => one.name))""")
    assert strange == []
    assert page.evaluate("[...document.images].every((image) => image.src.startsWith('data:image/'))")


def test_a_name_that_turns_the_writing_turns_nothing_else(opened: Open, everything: Path) -> None:
    summary = opened(everything).locator("summary", has_text="עולם").first
    name, rest = summary.evaluate("""(summary) => [summary.querySelector('b'), summary.lastChild].map((part) => {
        const range = document.createRange();
        range.selectNode(part);
        return range.getBoundingClientRect().toJSON();
    })""")
    assert rest["left"] >= name["right"] - 1


def test_every_image_decodes_and_small_ones_are_not_blurred(opened: Open, everything: Path) -> None:
    page = opened(everything)
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    images = page.evaluate(
        "[...document.images].map((i) => [i.naturalWidth, i.alt, i.width, getComputedStyle(i).imageRendering])"
    )
    assert {8, 32} == {natural for natural, *_ in images}
    assert all(rendering == "pixelated" for natural, _, _, rendering in images if natural <= 32)
    assert all(alt for _, alt, *_ in images)
    assert min(width for natural, _, width, _ in images) > 0


def test_a_published_report_holds_no_image(opened: Open) -> None:
    page = opened(PUBLISHED)
    assert page.evaluate("document.images.length") == 0


def test_on_paper_everything_is_open_and_what_is_pressed_is_gone(opened: Open, report: Path) -> None:
    page = opened(report, scheme="dark")
    page.locator("td button").first.click()
    assert page.evaluate("document.querySelectorAll(':popover-open').length") == 1
    page.pdf()  # prints, and so fires what printing fires
    page.emulate_media(media="print")
    assert page.evaluate("[...document.querySelectorAll('details')].every((part) => part.open)")
    shown = page.evaluate(
        "[...document.querySelectorAll('nav, [popover], .skip')].map((part) => getComputedStyle(part).display)"
    )
    assert set(shown) == {"none"}
