"""Text that a spreadsheet would compute."""

from __future__ import annotations

import pyarrow as pa
import pytest

from privacyplease.cli.output.formula_escaping import escaped, escaped_column

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＋1", "－1", "＠SUM(A1)"]
TEXTS = ["", "a=1", "a\n=1", "'=1", " x", "aa:bb", "2024-10-01T00:00:00Z"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert escaped(text) == f"'{text}"


@pytest.mark.parametrize("text", TEXTS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert escaped(text) == text


def test_a_column_is_escaped_as_its_texts_are() -> None:
    column = pa.array([*FORMULAS, *TEXTS, None])
    assert escaped_column(column).to_pylist() == [*map(escaped, FORMULAS + TEXTS), None]
