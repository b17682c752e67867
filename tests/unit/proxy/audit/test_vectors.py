"""The audit log against the known answers of docs/FORMAT.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from privacyplease.proxy.audit import chain
from privacyplease.proxy.audit.files import StoredLine, lines
from privacyplease.proxy.audit.reader import OWNER
from privacyplease.proxy.audit.verify import Anchor, Verdict, verify
from privacyplease.proxy.keys.derivation import Key, expand
from tests.vectors.known import Vector, each, key, vectors


def _key(vector: Vector, label: bytes) -> Key:
    return expand(key(vector["data_key"]), label, OWNER)


def _stored(vector: Vector, folder: Path) -> Iterator[StoredLine]:
    for name, content in vector["files"].items():
        (folder / name).write_text(content)
    return lines(folder)


def _verdict(vector: Vector, folder: Path) -> Verdict:
    keys = _key(vector, chain.CHAIN_LABEL), _key(vector, chain.ANCHOR_LABEL)
    return verify(_stored(vector, folder), *keys, Anchor(vector["anchor_number"], bytes.fromhex(vector["anchor"])))


@each("audit_logs", opens=True)
def test_a_log_is_intact(vector: Vector, tmp_path: Path) -> None:
    assert _verdict(vector, tmp_path).findings == []


@each("audit_logs", opens=False)
def test_a_log_was_tampered_with(vector: Vector, tmp_path: Path) -> None:
    assert vector["expected"] == "tampered with"
    assert _verdict(vector, tmp_path).findings


def test_lines_and_their_anchor_are_written_so(tmp_path: Path) -> None:
    vector = vectors("audit_logs")[0]
    before, number = chain.START, 0
    for stored in _stored(vector, tmp_path):
        entry = json.loads(stored.line)
        del entry["chain"]
        line, before = chain.seal(_key(vector, chain.CHAIN_LABEL), before, entry)
        assert line == stored.line
        number = entry["n"]
    assert chain.anchor(_key(vector, chain.ANCHOR_LABEL), number, before).hex() == vector["anchor"]


def test_a_pseudonym() -> None:
    vector = vectors("audit_logs")[0]
    assert chain.pseudonym(_key(vector, chain.SUBJECT_LABEL), vector["subject"]) == vector["pseudonym"]
