"""The checks of scripts/: long lines of prose are found and wrapped, and one version goes into every distribution."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
WORDS = "word " * 40


def script(name: str) -> ModuleType:
    """A script as a module: the folder is no package."""
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["advisories", "check_markdown", "locks", "version"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(script(name))
    assert tried
    assert not failed


@pytest.mark.parametrize(
    "text",
    [
        f"| {WORDS}|\n",
        f"# {WORDS}\n",
        f"```\n{WORDS}\n```\n",
        f"    {WORDS}\n",
        f'[label]: file.py "{WORDS}"\n',
        "https://example.org/" + "a" * 120 + "\n",
    ],
    ids=["table", "heading", "fenced code", "indented code", "definition of a link", "one word"],
)
def test_what_is_no_prose_may_be_long(text: str) -> None:
    check = script("check_markdown")
    assert check.long_lines(text) == []
    assert check.wrapped(text) == text


@pytest.mark.parametrize(
    ("text", "indents"),
    [
        (WORDS, ("", "")),
        (f"- {WORDS}", ("- ", "  ")),
        (f"12. {WORDS}", ("12. ", "    ")),
        (f"- point\n\n  {WORDS}", ("  ", "  ")),
    ],
    ids=["paragraph", "point", "numbered point", "second paragraph of a point"],
)
def test_a_long_line_is_wrapped_under_the_start_of_its_text(text: str, indents: tuple[str, str]) -> None:
    check = script("check_markdown")
    assert check.long_lines(text)
    wrapped = check.wrapped(text)
    assert check.long_lines(wrapped) == []
    assert wrapped.split() == text.split()
    first, second = wrapped.splitlines()[-2:]
    assert (first[: first.index("word")], second[: second.index("word")]) == indents


def test_no_line_begins_with_markup_after_wrapping() -> None:
    check = script("check_markdown")
    text = "x" * 110 + " before - 1. # + and so on"
    assert check.wrapped(text).splitlines() == ["x" * 110, "before - 1. # + and so on"]


def test_paragraphs_that_are_short_enough_are_left_as_they_are() -> None:
    assert script("check_markdown").wrapped("one\ntwo\n\n- three\n- four\n") == "one\ntwo\n\n- three\n- four\n"


def test_a_version_goes_into_a_distribution_and_the_distributions_it_needs() -> None:
    pyproject = 'name = "privacyplease"\nversion = "1"\n    "privacyplease-protos==1",\n    "privacyplease[cli]",\n'
    expected = 'name = "privacyplease"\nversion = "2"\n    "privacyplease-protos==2",\n    "privacyplease[cli]==2",\n'
    assert script("version").versioned(pyproject, "2") == expected


@pytest.mark.parametrize(
    ("lock", "fault"),
    [
        ("a==1 \\\n    --hash=sha256:" + "0" * 64 + "\n", ""),
        ("a==2 \\\n    --hash=sha256:" + "0" * 64 + "\n", "a: expected version 1, got 2"),
        ("a==1\n", "expected only names, versions and SHA-256 hashes"),
        ("--index-url x\na==1 \\\n    --hash=sha256:" + "0" * 64 + "\n", "expected only names"),
        ("", "expected a, got none"),
    ],
)
def test_a_lock_has_the_pinned_versions_with_hashes_and_nothing_else(lock: str, fault: str) -> None:
    found = "; ".join(script("locks").faults_of(lock, {"a": "1"}, {"a"}))
    assert fault in found if fault else not found
