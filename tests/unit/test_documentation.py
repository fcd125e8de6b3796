"""The pages of the documentation agree with the tree: their links, and the options that they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from debugserver import lldb_options, options
from tools import packet_table

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in LINK.findall(page.read_text()) if not (page.parent / link).exists()]
    assert broken == []


def test_the_page_of_the_command_line_has_every_option_and_no_other() -> None:
    page = (ROOT / "docs" / "command-line.md").read_text()
    documented = set(re.findall(r"^\| `(--[a-z-]+)|(?:,| and) `(--[a-z-]+)", page, re.MULTILINE))
    known = {option.flag for group in options.GROUPS.values() for option in group}
    known |= {f"--{option.flag}" for option in lldb_options.GDBSERVER + lldb_options.PLATFORM}
    assert {first or second for first, second in documented} == known


@pytest.mark.parametrize("page", packet_table.pages(), ids=lambda page: page.name)
def test_the_pages_of_the_packets_are_made_from_the_table_as_it_is(page: Path) -> None:
    assert page.read_text() == packet_table.pages()[page], "run `make docs`"
