"""Each guide: links lead somewhere, and what a reader types works or is marked as untried."""

from __future__ import annotations

import re
import subprocess

import pytest
from django.core.management import get_commands, load_command_class

from homepot.testing.guides import ROOT, UNTRIED, guides, sections_of, sections_under

# What a reader would type; answers, requests and other languages may stand in any block.
LOOKS_TYPED = re.compile(
    r"^\s*(\$ |sudo |make |[^\s=]*python3? |curl |psql |pg_|createdb|docker |systemctl |apt|git )"
)
MANAGE = re.compile(r"manage\.py +([a-z_]+)((?:[^\n`|]|\\\n)*)")
ASKED_FOR = re.compile(r'shell_of\(\s*"([^"]+)"')
# Paths in the text that somebody would look for here.
OWN_FILE = re.compile(r"(?:\.?[\w-]+/)+[\w.-]*\.\w+|\.env[\w.]*example|(?:[\w-]+/)+")

each_guide = pytest.mark.parametrize("guide", guides())


def blocks_of(guide):
    return [block for section in sections_of(guide) for block in section.blocks]


@pytest.fixture(scope="module")
def tried():
    """The line of every block that some test runs, by guide."""
    found = {}
    for path in ROOT.glob("*/**/tests/test_*.py"):
        for reference in ASKED_FOR.findall(path.read_text()):
            lines = found.setdefault(reference.partition("#")[0], set())
            sections = sections_under(reference)
            lines |= {block.line for section in sections for block in section.blocks}
    return found


@each_guide
def test_every_command_is_tried_or_says_that_it_is_not(guide, tried):
    untried = [block for block in blocks_of(guide) if block.is_tried]
    untried = [block for block in untried if block.line not in tried.get(guide, set())]
    assert untried == [], f"No test asks for these with shell_of(); {UNTRIED} would mark them."


@each_guide
def test_commands_stand_in_blocks_for_the_shell(guide):
    if guide == "README.md":
        pytest.skip("its commands are those of the guides, and of `make`, which runs this test")
    hidden = [
        block
        for block in blocks_of(guide)
        if block.language != "sh" and any(map(LOOKS_TYPED.match, block.text.splitlines()))
    ]
    assert hidden == [], "Write ```sh around them."


@each_guide
def test_commands_are_good_shell(guide):
    for block in blocks_of(guide):
        if block.language == "sh":
            read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True)
            assert (read.returncode, read.stderr) == (0, ""), block


@each_guide
def test_links_lead_somewhere(guide):
    lost = []
    for section in sections_of(guide):
        for link in section.links:
            if link.startswith(("https://", "mailto:")):
                continue
            path, _, anchor = link.partition("#")
            target = (ROOT / guide).parent / path if path else ROOT / guide
            name = str(target.resolve().relative_to(ROOT))
            if not target.exists() or (
                anchor and anchor not in [found.anchor for found in sections_of(name)]
            ):
                lost.append(link)
    assert lost == []


@each_guide
def test_commands_targets_settings_and_files_exist(guide):
    """Also those that the text only mentions."""
    terms = [term for section in sections_of(guide) for term in section.terms]
    text = "\n".join([*terms, *(block.text for block in blocks_of(guide))])
    settings = set(re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lost = [name for name in re.findall(r"\b[A-Z]+__[A-Z_]+\b", text) if name not in settings]
    lost += [name for name in re.findall(r"^\s*make ([a-z-]+)", text, re.M) if name not in targets]
    lost += [
        term
        for term in terms
        if OWN_FILE.fullmatch(term) and not (ROOT / term).exists() and "data/" not in term
    ]
    for name, arguments in MANAGE.findall(text):
        if name not in get_commands():
            lost.append(f"manage.py {name}")
            continue
        source = get_commands()[name]
        known = load_command_class(source, name).create_parser("manage.py", name).format_help()
        lost += [
            f"manage.py {name} {option}"
            for option in re.findall(r"(?<=\s)--[a-z-]+", arguments)
            if not re.search(rf"{option}\b", known)
        ]
    assert lost == []
