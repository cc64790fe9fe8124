"""Reads the pages of the documentation, whose statements the tests run."""

import pathlib
import re
import typing

ROOT = pathlib.Path(__file__).parents[2]


class Block(typing.NamedTuple):
    language: str  # "" of a block without one
    text: str


def page(name):
    """The text of a page: page("docs/managed.md")."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name, heading=None):
    """The code blocks of a page, or of the part of it under that heading, in order."""
    found, under, language, lines = [], None, None, []
    for line in page(name).splitlines():
        if language is None and line.startswith("#"):
            under = line.lstrip("# ")
        elif line.startswith("```") and language is None:
            language, lines = line[3:], []
        elif line == "```":
            if heading in (None, under):
                found.append(Block(language, "".join(f"{one}\n" for one in lines)))
            language = None
        elif language is not None:
            lines.append(line)
    assert found, f"{name} has no code block under {heading!r}"
    return found


def block(name, containing):
    """The one block of a page that has these words."""
    found = [one.text for one in blocks(name) if containing in one.text]
    assert len(found) == 1, f"{name} has {len(found)} blocks with {containing!r}"
    return found[0]


def table(name, first_column):
    """The rows of the table whose first column has that title, as lists of cells."""
    lines = page(name).splitlines()
    starts = [i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |")]
    assert len(starts) == 1, f"{name} has {len(starts)} tables that begin with {first_column!r}"
    rows = []
    for line in lines[starts[0] + 2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def replaced(text, changes):
    """The text with each key of `changes`, which must be in it, replaced."""
    for ours, theirs in changes.items():
        assert ours in text, f"{ours!r} is not in:\n{text}"
        text = text.replace(ours, theirs)
    return text
