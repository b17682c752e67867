r"""Keeps spreadsheets from computing text of a CSV that looks like a formula: an apostrophe goes in front of it.

Names of devices and stated purposes are chosen by anyone, and a spreadsheet may run what begins with one of these
characters (OWASP, CSV Injection).

>>> [escaped(text) for text in ("=1+1", "@SUM(A1)", "-5", "a=b", "")]
["'=1+1", "'@SUM(A1)", "'-5", 'a=b', '']
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

# With the full-width forms, which spreadsheets in East Asian languages read alike.
_FORMULA = r"\A([=+\-@\t\r\n＝＋－＠])"
_ESCAPED = r"'\1"


def escaped(text: str) -> str:
    """A text that no spreadsheet computes."""
    return re.sub(_FORMULA, _ESCAPED, text)


def escaped_column(column: pa.Array) -> pa.Array:
    """A column of texts that no spreadsheet computes; null stays null."""
    import pyarrow.compute as pc

    return pc.replace_substring_regex(column, _FORMULA, _ESCAPED)
