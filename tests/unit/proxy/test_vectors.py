"""The known answers are exactly those that the independent scripts make."""

from __future__ import annotations

import ast
import doctest
from types import ModuleType

import pytest

from tests.vectors import make, primitives, sketches


@pytest.mark.parametrize("name", sorted(set(make.FILES) - make.DEPENDS_ON_LIBRARY_VERSIONS))
def test_the_committed_file_is_what_the_script_makes(name: str) -> None:
    assert (make.FOLDER / f"{name}.json").read_text(encoding="utf-8") == make.text(name)


def test_every_file_has_its_maker() -> None:
    assert {file.stem for file in make.FOLDER.glob("*.json")} == set(make.FILES)


@pytest.mark.parametrize("module", [primitives, sketches])
def test_the_makers_own_examples_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_nothing_of_the_code_is_in_the_makers() -> None:
    for file in (make.FOLDER / f"{name}.py" for name in ("make", "of_keys", "of_manifest", "of_pages", "of_segments")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(name.startswith("privacyplease") for name in names)
