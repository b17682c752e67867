"""Splits lines whose quotes do not enclose whole fields, as in `15" screen` or after a blank: `a, "b"`.

A CSV parser would misread them. A field in quotes, with blanks around it or not, is what they enclose; a quote within
another field is an ordinary character. A field that only begins or ends with a quote may be half of one that a line
break has cut in two: such a line is not a record.
"""

import re
from collections.abc import Sequence

__all__ = ["UNPAIRED", "split"]

UNPAIRED = "expected quotes around whole fields, with those inside doubled; a line break may have cut a field in two"


def split(line: str, delimiter: str) -> Sequence[str] | None:
    r"""The fields of a line; None if one only begins or ends with a quote.

    >>> split('a, "b, c" ,15" screen', ",")
    ['a', 'b, c', '15" screen']
    >>> split('a,"b', ","), split('b",c', ",")
    (None, None)
    """
    end = re.escape(delimiter)
    field = rf'(?:^|{end})(?: *"((?:[^"]|"")*)" *(?={end}|$)|([^{end}]*))'
    fields = []
    for match in re.finditer(field, line):
        quoted, plain = match.groups()
        if quoted is None and (plain.strip().startswith('"') or plain.strip().endswith('"')):
            return None
        fields.append(quoted.replace('""', '"') if quoted is not None else plain)
    return fields
