"""The document of formats names what the code has: every label, every file format, every file of known answers."""

from __future__ import annotations

import re
from pathlib import Path

from tests.vectors.make import FILES

ROOT = Path(__file__).parents[3]
DOCUMENT = (ROOT / "docs" / "FORMAT.md").read_text(encoding="utf-8")
CODE = ROOT / "proxy_trusted" / "src" / "privacyplease" / "proxy"


def test_every_label_of_the_code_is_in_the_document_and_no_other() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in CODE.rglob("*.py"))
    labels = re.findall(r'b"(privacyplease/v\d/[^"]+)"', code)
    assert len(labels) == len(set(labels))
    assert set(labels) == set(re.findall(r"`(privacyplease/v\d/[^`]+)`", DOCUMENT))


def test_every_file_format_of_the_code_is_in_the_document_and_no_other() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in CODE.rglob("*.py"))
    formats = set(re.findall(r'^FORMAT = "(.+)"$', code, re.MULTILINE))
    assert len(formats) > 2
    assert formats == set(re.findall(r"`(privacyplease [a-z ]+ v\d)`", DOCUMENT))


def test_every_file_of_known_answers_is_in_the_document_and_no_other() -> None:
    assert set(re.findall(r"\(\.\./tests/vectors/(\w+)\.json\)", DOCUMENT)) == set(FILES)


def test_links_within_the_document_lead_somewhere() -> None:
    headings = {line.lstrip("#").strip().lower().replace(" ", "-") for line in DOCUMENT.splitlines() if line[:1] == "#"}
    assert set(re.findall(r"\(#([\w-]+)\)", DOCUMENT)) <= headings
