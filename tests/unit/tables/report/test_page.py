"""The page: whole from whatever is there, the same from the same files, and no name on it is more than text."""

import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages.core.pictures import read_pictures
from stages.tables.paper import read_paper
from stages.tables.report.__main__ import main
from stages.tables.report.files import Files
from stages.tables.report.grid import grids
from stages.tables.report.page import document, duration, figure, memory
from stages.tables.report.runs import trained
from stages.tables.report.told import Report
from tests.reporting import EVERYTHING, HOSTILE, make_up, planned


class Page(HTMLParser):
    """What a browser would find: text, ids, and where links and buttons lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.buttons: dict[str, str] = {}
        self._button = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._button = (given.get("popovertarget") or "") if tag == "button" else ""
        for name, found in (("id", self.ids), ("popovertarget", self.targets)):
            if value := given.get(name):
                found.append(value)
        address = given.get("href") or given.get("src") or ""
        self.addresses += [address] if address else []
        assert not any(name.startswith("on") for name in given)

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._button:
            self.buttons[self._button] = self.buttons.get(self._button, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._button = ""

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    root = tmp_path_factory.mktemp("everything")
    report = planned(root, EVERYTHING)
    make_up(report, root, images=60)
    return report, root


@pytest.fixture(scope="module")
def page(everything: tuple[Report, Path]) -> Page:
    return Page(document(*everything))


def test_the_same_files_give_the_same_bytes(everything: tuple[Report, Path]) -> None:
    assert document(*everything) == document(*everything)


def test_every_button_and_link_within_the_page_has_its_place_and_no_place_stands_twice(page: Page) -> None:
    assert len(set(page.ids)) == len(page.ids)
    within = [address.removeprefix("#") for address in page.addresses if address.startswith("#")]
    assert {*page.targets, *within} <= {*page.ids}
    assert page.targets


def test_it_asks_for_nothing_outside_of_its_folder(page: Page) -> None:
    elsewhere = [address for address in page.addresses if not address.startswith(("#", "data:", "../"))]
    assert elsewhere == []


def test_every_figure_of_the_tables_stands_on_the_button_of_its_cell(
    everything: tuple[Report, Path], page: Page
) -> None:
    report, root = everything
    files = Files(report, root)
    tables = grids(report.plans, read_paper(), trained(report.plans, files), files)
    shown = [one for grid in tables for block in grid.blocks for line in block.lines for one in line.cells]
    assert len(shown) > 50
    for one in shown:
        accuracy = one.cell.accuracy
        assert page.buttons[one.anchor] == ("–" if accuracy is None else f"{accuracy:.2f}{one.star}")
        assert one.cell.paper is None or f"{one.cell.paper:.2f}" in page.text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_text_whatever_it_holds(page: Page, name: str) -> None:
    assert re.sub(r"\s+", " ", name) in page.text


def test_no_name_becomes_a_tag_or_a_template(everything: tuple[Report, Path], page: Page) -> None:
    text = document(*everything)
    assert page.tags.count("script") == 1
    assert "<script>alert" not in text
    assert html.escape("<script>alert(1)</script>", quote=True) in text


def test_without_any_file_it_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = planned(tmp_path, EVERYTHING)
    text = Page(document(report, tmp_path)).text
    assert "No claims were judged" in text
    assert "No pictures" in text
    run = report.plans[0].rows[0].runs[0]
    assert run.name in text
    capsys.readouterr()


def test_a_missing_run_is_named_and_the_others_stand(everything: tuple[Report, Path], tmp_path: Path) -> None:
    report = planned(tmp_path, EVERYTHING)
    lost = report.plans[0].rows[0].runs[0].name
    make_up(report, tmp_path, images=60, without=[lost])
    page = Page(document(report, tmp_path))
    assert re.search(rf"Missing: [^.]*{lost}", page.text)
    assert f"{lost} : no file" in page.text or f"{lost}: no file" in page.text
    assert len(page.targets) == len(Page(document(*everything)).targets)


def test_the_stage_writes_the_page_and_names_what_it_lacks(everything: tuple[Report, Path], tmp_path: Path) -> None:
    report, root = everything
    (tmp_path / "told.json").write_text(report.model_dump_json())
    manifest = tmp_path / "report.json"
    words = ["--settings", f"@{tmp_path / 'told.json'}", "--root", str(root), "--out", str(tmp_path)]
    main([*words, "--manifest", str(manifest)])
    facts = json.loads(manifest.read_text())["facts"]
    assert (tmp_path / "report.html").read_text() == document(report, root)
    assert facts["missing"] == [path for path in report.files() if not (root / path).is_file()]
    assert facts["missing"]


def test_pictures_stand_on_it_with_their_neighbors(everything: tuple[Report, Path], page: Page) -> None:
    report, root = everything
    assert report.pictures
    expected = 0
    for path in report.pictures:
        pictures = read_pictures(root / path)
        anchors, m = pictures.neighborhoods.neighbor_ids.shape
        shots = len(pictures.attacked.ids)
        expected += anchors * (m + 1) + shots * (1 + 2 * len(pictures.methods))
    assert page.tags.count("img") == expected


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "–"), (3.14159, "3.14 s"), (200, "3 min 20 s"), (3900, "1 h 05 min"), (3.6e6, "1,000 h 00 min")],
)
def test_durations_are_told_as_people_do(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_dashes_stand_for_what_is_unknown() -> None:
    assert (memory(None), figure(None), memory(2.5e9), figure(-1.5)) == ("–", "–", "2.50 GB", "−1.50")
