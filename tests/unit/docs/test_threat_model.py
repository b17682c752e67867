"""The threat model says nothing that a test or a published source does not back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "THREAT_MODEL.md"

_DEFINITION = re.compile(r'^\[([\w-]+)\]: (\S+) "([^"]+)"$', re.MULTILINE)
_REFERENCE = re.compile(r"\[([\w-]+)\](?![(:])")


def text() -> str:
    return DOCUMENT.read_text()


def definitions() -> dict[str, tuple[str, str]]:
    """Each label with what it points to and its title."""
    return {label: (target, title) for label, target, title in _DEFINITION.findall(text())}


def statements(document: str) -> Iterator[str]:
    """Every sentence, row and point after the introduction, without headings, table headers and who an attacker is."""
    _, _, body = _DEFINITION.sub("", document).partition("\n## ")
    for block in re.split(r"\n\s*\n", f"## {body}"):
        lines = [line for line in block.splitlines() if not line.startswith(("#", "|---", "| |", "| asset"))]
        if block.startswith("*"):
            continue
        if any(line.startswith("|") for line in lines):
            yield from lines
        elif any(line.startswith("- ") for line in lines):
            yield from re.split(r"\n(?=- )", "\n".join(lines))
        else:
            yield from (part for part in re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(lines).strip()) if part)


def without_backing(document: str) -> list[str]:
    return [statement for statement in statements(document) if not _REFERENCE.search(statement)]


@cache
def functions(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))


def test_every_statement_names_what_backs_it() -> None:
    assert len(list(statements(text()))) > 40
    assert without_backing(text()) == []


def test_a_statement_without_backing_is_found() -> None:
    assert without_backing("# T\n\nIntroduction.\n\n## A\n\nIt is so [a]. It is safe.\n") == ["It is safe."]
    assert without_backing("# T\n\n## A\n\n| | |\n|---|---|\n| cannot | fly |\n") == ["| cannot | fly |"]


def test_every_reference_is_defined_and_every_definition_is_used() -> None:
    used = {label for statement in statements(text()) for label in _REFERENCE.findall(statement)}
    assert used == set(definitions())


@pytest.mark.parametrize("label", sorted(label for label, (target, _) in definitions().items() if target[0] == "."))
def test_the_test_that_is_named_is_there(label: str) -> None:
    target, title = definitions()[label]
    assert title.startswith("test_")
    assert title in functions((DOCUMENT.parent / target).resolve())
