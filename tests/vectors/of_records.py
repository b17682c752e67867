"""Known answers about two files of the proxy: the audit log, and an exported keyring."""

from __future__ import annotations

import base64
import hmac
import json
import struct
from typing import Any

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.vectors.primitives import Vectors, context, flipped, hkdf_expand, named, sealed

DATA_KEY = named("data key of /audit")
ENTRIES: list[dict[str, Any]] = [
    {"at": "2024-10-01T09:00:00.000Z", "event": "asked", "who": "alice", "purpose": 'found "it"\n· ü'},
    {"at": "2024-10-01T09:00:00.040Z", "event": "answered", "who": "alice", "bytes": 120},
    {"at": "2024-10-01T09:00:01.000Z", "event": "checkpoint"},
    {"at": "2024-10-01T09:00:01.000Z", "event": "refused", "who": "bob", "reason": "FORBIDDEN"},
]
CHECKPOINT_AT = 2


def audit_logs() -> Vectors:
    """A log of two files with the anchor of its end, and logs that were tampered with."""
    lines, chain = _chained(ENTRIES)
    end = _mac("anchor", struct.pack(">Q", len(lines)) + chain)
    files = _files(lines)
    (one, two), (three, four) = lines[:2], lines[2:]
    tampered = {
        "edited": _files([one.replace("alice", "carol"), two, three, four]),
        "changed byte of a chain": _files([one, two, three, four[:-3] + ("1" if four[-3] == "0" else "0") + four[-2:]]),
        "another spelling of the JSON": _files([one.replace('"n":1,', '"n": 1,'), two, three, four]),
        "line removed": {"audit-000000000001.jsonl": f"{one}\n", "audit-000000000003.jsonl": f"{three}\n{four}\n"},
        "lines swapped": _files([two, one, three, four]),
        "end cut off": _files([one, two, three]),
        "archived up to the middle of a file": {"audit-000000000003.jsonl": f"{four}\n"},
    }
    good = {"name": "good", "files": files, "anchor_number": 4, "anchor": end.hex(), "expected": "opens"}
    subject = "aa:bb:cc:dd:ee:ff"
    inside = {
        "data_key": DATA_KEY.hex(),
        "subject": subject,
        "pseudonym": _mac("subject", subject.encode())[:16].hex(),
    }
    return [
        good | inside,
        {"name": "first file archived", "files": dict(list(files.items())[1:]), "expected": "opens"},
        *({"name": name, "files": bad, "expected": "tampered with"} for name, bad in tampered.items()),
        {"name": "changed anchor", "anchor": flipped(end, 0).hex(), "expected": "tampered with"},
    ]


def exported_keyrings() -> Vectors:
    """A keyring's file, and files that must be refused."""
    passphrase, salt, nonce = "two may keep counsel", named("keyring salt", 16), named("keyring nonce", 12)
    tag_key, cell_key = named("tag key of core"), named("cell key of core")
    body = {
        "dataset": {
            "name": "wifi",
            "title": "WiFi sessions",
            "columns": {"mac": "mac", "ap": "string", "start": "timestamp", "duration": "duration"},
            "subject": "mac",
            "place": "ap",
            "start": "start",
            "duration": "duration",
            "epoch": 2_592_000_000,
            "whole_days": False,
        },
        "interval": [1_719_792_000_000, 1_722_470_400_000],
        "made_at": 1_722_500_000_000,
        "keys": [[663, 1, base64.b64encode(tag_key).decode(), base64.b64encode(cell_key).decode()]],
        "segments": [[7, 663, 1, 2, 1_719_800_000_000, 1_719_800_001_000, 1_719_800_002_000, 1_280]],
    }
    passphrase_key = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65_536).derive(
        passphrase.encode()
    )

    def file(content: bytes, label: str = "privacyplease/v2/export") -> dict[str, Any]:
        return {
            "format": "privacyplease exported keyring v2",
            "iterations": 3,
            "lanes": 4,
            "memory_kib": 65_536,
            "salt": base64.b64encode(salt).decode(),
            "wrapped": base64.b64encode(sealed(passphrase_key, nonce, content, context(label))).decode(),
        }

    whole = file(json.dumps(body).encode())
    good = {"name": "good", "passphrase": passphrase, "file": whole, "body": body, "expected": "opens"}
    return [
        good | {"passphrase_key": passphrase_key.hex(), "tag_key": tag_key.hex(), "cell_key": cell_key.hex()},
        {"name": "wrong passphrase", "passphrase": "three may", "expected": "wrong passphrase"},
        {
            "name": "sealed as a master key",
            "file": file(json.dumps(body).encode(), "privacyplease/v1/master"),
            "expected": "wrong passphrase",
        },
        {
            "name": "format of a master key",
            "file": whole | {"format": "privacyplease master key v1"},
            "expected": "bad file",
        },
        {"name": "body that is not JSON", "file": file(b"keys"), "expected": "bad file"},
        {"name": "body without segments", "file": file(b'{"dataset": {}}'), "expected": "bad file"},
    ]


def _chained(entries: list[dict[str, Any]]) -> tuple[list[str], bytes]:
    """The entries as lines, and the chain of the last."""
    lines, chain = [], bytes(32)
    for number, entry in enumerate(entries, start=1):
        after = {"after": chain.hex()} if entry["event"] == "checkpoint" else {}
        body = json.dumps({"n": number, **entry, **after}, separators=(",", ":"))
        chain = _mac("chain", chain + body.encode())
        lines.append(f'{body[:-1]},"chain":"{chain.hex()}"}}')
    return lines, chain


def _files(lines: list[str]) -> dict[str, str]:
    """The lines in two files, of which the second begins with the checkpoint."""
    first, second = lines[:CHECKPOINT_AT], lines[CHECKPOINT_AT:]
    return {
        "audit-000000000001.jsonl": "".join(f"{line}\n" for line in first),
        "audit-000000000003.jsonl": "".join(f"{line}\n" for line in second),
    }


def _mac(purpose: str, message: bytes) -> bytes:
    key = hkdf_expand(DATA_KEY, context(f"privacyplease/v1/audit {purpose}", "/audit"))
    return hmac.digest(key, message, "sha256")
