"""Known answers about the manifest: rows, heads, their chain, which heads are kept, and destroyed keys."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Any

from tests.vectors.primitives import Vectors, aes, context, flipped, hkdf_expand, named, sealed

STATES = {"sent": 0, "stored": 1, "live": 2, "retired": 3}
OPENS = {"expected": "opens"}
NUMBERS = (1, 2, 3, 7, 8, 100, 65_535, 10**9)


def manifest_rows() -> Vectors:
    """A row with all groups, one without records, and rows that must not open."""
    key, nonce, other = named("manifest row key"), named("row nonce", 12), named("other row nonce", 12)
    name = {"dataset": "wifi", "number": 70_000, "state": "live", "version": 140_001}
    settled = _summary(1_727_769_600_000, 1_727_784_000_000, 1_727_870_400_000, longest=86_400_000) | {
        **_about(epoch=666, generation=1, settled=True, outgrown=1, changed_at=1_727_784_000_123),
        "records": 65_536,
        "groups": [
            {"group": group, "size": size, "digest": named(f"digest of {group}", 28).hex()}
            for group, size in ((1, 524_288), (2, 131_072), (3, 98_304))
        ],
        "filter": named("filter", 20).hex(),
    }
    nobody = _about(0, 0, settled=False, outgrown=0, changed_at=0) | _summary(0, 0, 0, longest=0)
    nobody |= {"records": 0, "groups": [], "filter": ""}
    row = _row(key, nonce, name, settled)
    elsewhere: dict[str, dict[str, Any]] = {
        "moved to another data set": {"dataset": "bikes"},
        "moved to another segment": {"number": 70_001},
        "given another state": {"state": "retired"},
        "given another version": {"version": 140_002},
        "sealed under another key": {"key": named("other manifest row key").hex()},
    }
    damaged = {
        "changed byte of the nonce": flipped(row, 0),
        "changed byte of the body": flipped(row, 90),
        "changed byte of the authentication tag": flipped(row, -1),
        "truncated": row[:-1],
        "cut within the nonce": row[:5],
        "empty": b"",
    }
    refused = elsewhere | {name: {"sealed": bad.hex()} for name, bad in damaged.items()}
    return [
        {"name": "good", "key": key.hex(), **name, **settled, "sealed": row.hex(), "expected": "opens"},
        {"name": "without records", **nobody, "sealed": _row(key, other, name, nobody).hex(), "expected": "opens"},
        *({"name": name, **change, "expected": "key unavailable"} for name, change in refused.items()),
    ]


def heads() -> Vectors:
    """A head under its tag, and cells that are not heads."""
    data_key, nonce, head_keys = named("data key of heads"), named("head nonce", 12), _head_keys("data key of heads")
    head = {"sequence": 71_003, "version": 140_001, "link": named("link").hex(), "at": 1_727_784_000_123}
    tag, next_tag = (aes(head_keys["head-tag"], struct.pack(">QQ", 0, number)) for number in (71_003, 71_004))
    body = struct.pack(">QQ32sq", head["sequence"], head["version"], named("link"), head["at"]).ljust(996, b"\0")
    cell = sealed(head_keys["head"], nonce, body, context("privacyplease/v2/head", tag))
    good = {"name": "good", "data_key": data_key.hex(), "tag": tag.hex(), "sealed": cell.hex(), **head}
    home = aes(head_keys["head-tag"], b"\xff" * 16)
    damaged = {
        "changed byte of the nonce": flipped(cell, 0),
        "changed byte of the body": flipped(cell, 12),
        "changed byte of the padding": flipped(cell, -17),
        "changed byte of the authentication tag": flipped(cell, -1),
        "truncated": cell[:-1],
        "cut within the nonce": cell[:5],
        "empty": b"",
    }
    refused = {name: {"sealed": bad.hex()} for name, bad in damaged.items()}
    refused["moved under the next tag"] = {"tag": next_tag.hex()}
    refused["of another home"] = {"data_key": named("data key of other heads").hex()}
    counting = body[:56] + struct.pack(">Q", 3) + body[64:]
    cell = sealed(head_keys["head"], nonce, counting, context("privacyplease/v2/head", tag))
    return [
        good | {"home": home.hex(), "expected": "opens"},
        good | {"name": "counting destroyed keys", "destroyed": 3, "sealed": cell.hex(), "home": home.hex()} | OPENS,
        *({"name": name, **change, "expected": "does not open"} for name, change in refused.items()),
    ]


def destroyed_keys() -> Vectors:
    """Keys on the list, of an erased and of a renewed epoch, and cells that are not on it."""
    data_key, nonce, keys = named("data key of heads"), named("list nonce", 12), _head_keys("data key of heads")
    found: Vectors = []
    for name, number, epoch, generation, renewed in (("erased", 1, 666, 0, False), ("renewed", 70_000, -1, 2, True)):
        tag = aes(keys["destroyed-tag"], struct.pack(">QQ", 0, number))
        body = struct.pack(">qIBB", epoch, generation, renewed, 4) + b"wifi"
        cell = sealed(keys["destroyed"], nonce, body.ljust(996, b"\0"), context("privacyplease/v2/destroyed", tag))
        key = {"dataset": "wifi", "epoch": epoch, "generation": generation, "renewed": renewed}
        shown = {"name": name, "data_key": data_key.hex(), "number": number, "tag": tag.hex(), "sealed": cell.hex()}
        found.append(shown | key | OPENS)
    first = bytes.fromhex(found[0]["sealed"])
    refused = {
        "changed byte of the body": {"sealed": flipped(first, 12).hex()},
        "truncated": {"sealed": first[:-1].hex()},
        "empty": {"sealed": ""},
        "moved under another number's tag": {"tag": found[1]["tag"]},
    }
    return [
        *found,
        *(found[0] | {"name": name, **change, "expected": "cell damaged"} for name, change in refused.items()),
    ]


def links() -> Vectors:
    """The chain over a change that writes a row and removes two, over an empty change, and an accepted rollback."""
    chain_key, row = _head_keys("data key of heads")["head-chain"], named("a sealed row", 30)
    put = context("wifi", struct.pack(">Q", 70_000), bytes([STATES["live"]]), hashlib.sha256(row).digest())
    removed = [context("wifi", struct.pack(">Q", number)) for number in (69_998, 69_999)]
    given = [
        ("a change", named("link"), 140_001, [put, *removed]),
        ("a change of nothing, the first", bytes(32), 1, []),
        ("going on from an older state", named("link"), 140_007, [b"overtaken", named("newer link")]),
    ]
    found: Vectors = []
    for name, before, version, changes in given:
        message = before + struct.pack(">Q", version) + context("privacyplease/v2/head", *changes)
        link = hmac.digest(chain_key, message, "sha256")
        shown = {"before": before.hex(), "version": version, "changes": [change.hex() for change in changes]}
        found.append({"name": name, "data_key": named("data key of heads").hex(), **shown, "link": link.hex()})
    found[0] |= {
        "put": [{"dataset": "wifi", "number": 70_000, "state": "live", "sealed": row.hex()}],
        "removed": [{"dataset": "wifi", "number": number} for number in (69_998, 69_999)],
    }
    return found


def head_numbers() -> Vectors:
    """Which heads the server keeps when one is sent, and which ones a home that knows it asks for."""
    return [{"number": number, "kept": _kept(number), "asked_for": _asked_for(number)} for number in NUMBERS]


def _kept(newest: int) -> list[int]:
    there = {newest}
    for k in range(newest.bit_length()):
        last = newest - newest % 2**k
        there |= {number for number in (last, last - 2**k, last - 2 * 2**k) if number > 0}
    return sorted(there)


def _asked_for(known: int) -> list[int]:
    first = [known + 2**k - known % 2**k for k in range(40)]
    return sorted({number + more * 2**k for k, number in enumerate(first) for more in range(3)})


def _head_keys(name: str) -> dict[str, bytes]:
    return {
        purpose: hkdf_expand(named(name), context(f"privacyplease/v2/{purpose}", "/manifest"))
        for purpose in ("head", "head-tag", "head-chain", "destroyed", "destroyed-tag")
    }


def _about(epoch: int, generation: int, *, settled: bool, outgrown: int, changed_at: int) -> dict[str, Any]:
    key = {"epoch": epoch, "generation": generation}
    return key | {"settled": settled, "outgrown": outgrown, "changed_at": changed_at}


def _summary(first: int, last: int, reach: int, *, longest: int) -> dict[str, Any]:
    return {"first": first, "last": last, "reach": reach, "longest": longest}


def _row(key: bytes, nonce: bytes, name: dict[str, Any], row: dict[str, Any]) -> bytes:
    named_by = (struct.pack(">Q", name["number"]), bytes([STATES[name["state"]]]), struct.pack(">Q", name["version"]))
    associated = context("privacyplease/v2/manifest-row", name["dataset"], *named_by)
    key_id = (row["epoch"], row["generation"], row["settled"], row["outgrown"], row["changed_at"])
    summary = (row["records"], row["first"], row["last"], row["reach"], row["longest"], len(row["groups"]))
    body = struct.pack(">qIBBq", *key_id) + struct.pack(">QqqqqB", *summary)
    for entry in row["groups"]:
        body += struct.pack(">BI", entry["group"], entry["size"]) + bytes.fromhex(entry["digest"])
    return sealed(key, nonce, body + bytes.fromhex(row["filter"]), associated)
