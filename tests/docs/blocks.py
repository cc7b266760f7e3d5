"""The code blocks of README.md and docs/, as the tests run them.

python: run in the order of the page, in one namespace; a first line `# stages/….py` makes a block a file instead.
yaml: an overlay of the default experiment, or an experiment where it has that key; the stanza that follows a file
belongs to it; a first line `# ….yaml` names it for the commands of its page. console: commands after `$ `.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line it begins at, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def file(self) -> str:
        """The file that the block's first line names, or nothing."""
        named = NAMED.match(self.text)
        return named[1] if named else ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Extension:
    """A plug-in's file and the stanza that puts it to use."""

    file: Block
    stanza: Block


def blocks(language: str = "") -> list[Block]:
    """All blocks of a language, page by page; without one, all there are."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            found.append(Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2]))
    return [block for block in found if language in ("", block.language)]


def extensions() -> list[Extension]:
    """Every file with the first stanza that stands below it."""
    files = [block for block in blocks("python") if block.file]
    return [
        Extension(file, next(other for other in blocks("yaml") if other.page == file.page and other.line > file.line))
        for file in files
    ]


def overlays() -> list[Block]:
    """Every stanza that needs no file of its page."""
    taken = [extension.stanza for extension in extensions()]
    return [block for block in blocks("yaml") if block not in taken]


def scripts() -> dict[Path, list[Block]]:
    """The Python that is run and not a file, by page."""
    return {page: [block for block in blocks("python") if block.page == page and not block.file] for page in PAGES}


def commands(block: Block) -> list[str]:
    """The commands of a console block: lines joined, comments left out, variables that the page exports filled in."""
    joined = re.sub(r"\\\n\s*", "", block.text)
    lines = [re.split(r"\s+# ", line[2:])[0].strip() for line in joined.splitlines() if line.startswith("$ ")]
    exported = dict(re.findall(r"^\$ export (\w+)=(\S+)", block.page.read_text(encoding="utf-8"), re.MULTILINE))
    filled = [re.sub(r"\$(\w+)", lambda name: exported.get(name[1], name[0]), line) for line in lines]
    return [command for line in filled for command in line.split(" && ")]
