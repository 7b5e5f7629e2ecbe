"""The guides, README.md and docs/*.md, as tests read and run them.

What a reader types into a shell stands in ```sh blocks, and tests run it as written:

    ran = run_shell(shell_of("docs/devices.md#a-walk-through"), folder=tmp_path, KEY=key)

`shell_of` takes a guide or one of its headings. A block that no test can run begins with one of
`UNTRIED`, so that its reader knows too. homepot/tests/test_guides.py fails for any other block
that no test asks for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
# First lines of the blocks that need more than an account on a machine.
UNTRIED = ("# As root", "# With Docker")
SHELL_SECONDS = 120


@dataclass
class Block:
    """A block of code: `language` is None when it is indented and so names none."""

    text: str
    language: str | None
    line: int

    @property
    def is_tried(self) -> bool:
        """Whether a test has to run it."""
        return self.language == "sh" and not self.text.startswith(UNTRIED)


@dataclass
class Section:
    """A heading and what stands below it, up to the next heading of any level."""

    anchor: str
    level: int
    blocks: list[Block] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    # What stands in `backquotes` in the text.
    terms: list[str] = field(default_factory=list)


def guides() -> list[str]:
    """Their paths from the project's folder."""
    return ["README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]


@cache
def sections_of(guide: str) -> tuple[Section, ...]:
    """The sections of a guide; what stands before its first heading has an empty anchor."""
    found = [Section(anchor="", level=0)]
    seen: Counter[str] = Counter()
    tokens = MarkdownIt().enable("table").parse((ROOT / guide).read_text())
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            anchor = _anchor(tokens[number + 1].content)
            repeated = f"-{seen[anchor]}" if seen[anchor] else ""
            seen[anchor] += 1
            found.append(Section(anchor=anchor + repeated, level=int(token.tag[1])))
        line = token.map[0] + 1 if token.map else 0
        if token.type == "fence":
            found[-1].blocks.append(Block(token.content, token.info.strip(), line))
        elif token.type == "code_block":
            found[-1].blocks.append(Block(token.content, None, line))
        for part in token.children or []:
            if part.type in ("link_open", "image"):
                found[-1].links.append(str(part.attrGet("href") or part.attrGet("src")))
            elif part.type == "code_inline":
                found[-1].terms.append(part.content)
    return tuple(found)


def sections_under(reference: str) -> list[Section]:
    """All sections of a guide, or the one that `#heading` names and those below it.

    Raises ValueError when there is none.
    """
    guide, _, anchor = reference.partition("#")
    sections = sections_of(guide)
    if not anchor:
        return list(sections)
    start = [section.anchor for section in sections].index(anchor)
    below = takewhile(lambda section: section.level > sections[start].level, sections[start + 1 :])
    return [sections[start], *below]


def shell_of(reference: str) -> str:
    """The commands under a heading that a test can run, in their order."""
    blocks = [block for section in sections_under(reference) for block in section.blocks]
    return "\n".join(block.text for block in blocks if block.is_tried)


def run_shell(script: str, *, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `script` in `folder` until its first failure, with nothing of the run's environment.

    `python` is the one that runs the tests. A guide that speaks of the project's own folder
    needs a copy: see homepot/testing/project.py.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": programs, "HOME": str(folder), "LANG": "C.UTF-8"} | environment,
        capture_output=True,
        text=True,
        timeout=SHELL_SECONDS,
        check=False,
    )


def _anchor(title: str) -> str:
    """The name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
