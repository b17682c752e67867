"""Known answers about segments: tags, sizes, hashes of subjects, filters, sketches, cells and their digests."""

from __future__ import annotations

import struct

from tests.vectors.of_pages import pages, stream_without_a_batch
from tests.vectors.primitives import Vectors, aes, cmac, context, flipped, gmac, named, sealed
from tests.vectors.sketches import sketch

GROUPS = {"core": 1, "rest": 2, "rollup": 3}
SUBJECTS = {
    "mac": ["aa:bb:cc:dd:ee:ff", "00:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"],
    "string": ["bench-7", "北陸", "Café", "a name of 16 oct", "a name that is longer than two blocks", ""],
}


def tags() -> Vectors:
    """One AES block for each group of a segment."""
    found = []
    for group, number in GROUPS.items():
        key = named(f"tag key of {group}")
        for segment in (1, 2, 2**63 - 1):
            block = struct.pack(">B7xQ", number, segment)
            name = {"key": key.hex(), "group": group, "segment": segment}
            found.append(name | {"block": block.hex(), "tag": aes(key, block).hex()})
    return found


def sizes() -> Vectors:
    """Sizes of cells by the number of their records, and of cells that outgrow them."""
    found = []
    for floor, each in ((1_024, 8.0), (2_432, 11.0), (1_024, 0.3)):
        for records in (0, 1, 256, 4_096, 4_097, 65_536):
            size = _size(floor, each, records)
            budget = {"floor": floor, "each": each, "records": records, "size": size}
            for content in (size - 1, size, size + 1, 3 * size):
                found.append(budget | {"content": content, "fitting": max(size, _size_class(content))})
    return found


def subject_hashes() -> Vectors:
    """The first 64 bits of CMAC of a subject."""
    key, found = named("filter key"), []
    for kind, values in SUBJECTS.items():
        messages = [_message(kind, value) for value in values]
        hashes = [_first_64(cmac(key, message)) for message in messages]
        shown = {"messages": [message.hex() for message in messages], "hashes": hashes}
        found.append({"key": key.hex(), "type": kind, "values": values} | shown)
    return found


def filters() -> Vectors:
    """Bloom filters, and what they say about their subjects and about some others."""
    found: Vectors = []
    for count in (0, 1, 3, 40):
        hashes = [_first_64(named(f"subject {number}")) for number in range(count)]
        strangers = [_first_64(named(f"stranger {number}")) for number in range(20)]
        bits = -(-count * 10 // 8) * 8
        there = {bit for value in hashes for bit in _probes(value, bits)}
        made = sum(1 << bits - 1 - bit for bit in there).to_bytes(bits // 8, "big")
        says = {value: not count or set(_probes(value, bits)) <= there for value in hashes + strangers}
        asked = {"asked": list(says), "may_hold": list(says.values())}
        found.append({"hashes": hashes, "filter": made.hex()} | asked)
    return found


def filter_lengths() -> Vectors:
    """Lengths of filters: ten bits per subject, and 0 beyond 32 KiB."""
    lengths = {subjects: -(-subjects * 10 // 8) for subjects in (1, 4, 5, 1_000, 26_214, 26_215)}
    return [{"subjects": n, "bytes": length if length <= 32_768 else 0} for n, length in lengths.items()]


def sketches() -> Vectors:
    """Sketches of hashes of subjects."""
    found = []
    for count in (0, 1, 2, 300):
        hashes = [_first_64(named(f"subject {number}")) for number in range(count)]
        numbers = [value - (1 << 64) if value >> 63 else value for value in hashes]
        found.append({"hashes": hashes, "sketch": sketch(numbers).hex()})
    return found


def cells() -> Vectors:
    """A cell with a fixed nonce, and cells that must not open."""
    key, tag, nonce = named("cell key"), named("tag", 16), named("nonce", 12)
    frame = bytes.fromhex(pages()[0]["frame"])
    budget = {"floor": 512, "each": 8.0, "records": 4}
    size = _size(512, 8.0, 4)
    page = (struct.pack(">I", len(frame)) + frame).ljust(size - 29, b"\0")
    associated = context("privacyplease/v2/cell-page", "wifi", "core", tag)

    def cell(page: bytes) -> bytes:
        return b"\x02" + sealed(key, nonce, page, associated)

    good, no_batch = cell(page), stream_without_a_batch()
    place = {"dataset": "wifi", "group": "core", "tag": tag.hex()}
    inside = {"cell_key": key.hex(), "nonce": nonce.hex(), "frame": frame.hex(), "associated": associated.hex()}
    damaged = {
        "version 1": b"\x01" + good[1:],
        "changed byte of the version": flipped(good, 0),
        "changed byte of the nonce": flipped(good, 1),
        "changed byte of the frame's length": flipped(good, 16),
        "changed byte of the frame": flipped(good, 40),
        "changed byte of the padding": flipped(good, -17),
        "changed byte of the authentication tag": flipped(good, -1),
        "truncated": good[:-1],
        "cut to the nonce": good[:13],
        "cut within the nonce": good[:5],
        "extended": good + b"\0",
        "empty": b"",
        "page without a length": cell(b"\0\0"),
        "frame longer than its page": cell(struct.pack(">I", size) + page[4:]),
        "frame cut short": cell(struct.pack(">I", len(frame) - 9) + page[4:]),
        "frame with a byte behind it": cell(struct.pack(">I", len(frame) + 1) + page[4:]),
        "page without a frame": cell(bytes(size - 29)),
        "frame that is none of zstd": cell(page[:4] + flipped(page[4:], 0)),
        "frame of what is not Arrow": cell((struct.pack(">I", len(NO_ARROW)) + NO_ARROW).ljust(size - 29, b"\0")),
        "stream without a batch": cell((struct.pack(">I", len(no_batch)) + no_batch).ljust(size - 29, b"\0")),
    }
    elsewhere = {
        "moved under another tag": {"tag": named("other tag", 16).hex()},
        "moved to another data set": {"dataset": "badges"},
        "moved to another group": {"group": "rest"},
        "sealed under another key": {"cell_key": named("other cell key").hex()},
    }
    refused = {name: {"sealed": bad.hex()} for name, bad in damaged.items()} | elsewhere
    padding = cell(page[:-1] + b"\x01")
    return [
        {"name": "good", **place, **budget, "sealed": good.hex(), "expected": "opens", **inside},
        {"name": "padding that is not zero", "sealed": padding.hex(), "expected": "opens"},
        *({"name": name, **change, "expected": "cell damaged"} for name, change in refused.items()),
    ]


def digests() -> Vectors:
    """The digest of a cell, and cells that it does not authenticate."""
    key, tag, nonce = named("digest key"), named("tag", 16), named("digest nonce", 12)
    stored = b"\x02" + b"".join(named(f"cell {part}") for part in range(8))
    digest = nonce + gmac(key, nonce, tag + stored)
    good = {"key": key.hex(), "tag": tag.hex(), "sealed": stored.hex(), "digest": digest.hex()}
    refused: dict[str, dict[str, str]] = {
        "changed byte of the cell": {"sealed": flipped(stored, 100).hex()},
        "changed version of the cell": {"sealed": flipped(stored, 0).hex()},
        "cell truncated": {"sealed": stored[:-1].hex()},
        "cell extended": {"sealed": (stored + b"\0").hex()},
        "no cell": {"sealed": ""},
        "cell moved under another tag": {"tag": named("other tag", 16).hex()},
        "changed byte of the nonce": {"digest": flipped(digest, 0).hex()},
        "changed byte of the digest": {"digest": flipped(digest, -1).hex()},
        "digest truncated": {"digest": digest[:-1].hex()},
        "digest cut within the nonce": {"digest": digest[:5].hex()},
        "no digest": {"digest": ""},
        "made under another key": {"key": named("other digest key").hex()},
    }
    return [
        {"name": "good", **good, "nonce": nonce.hex(), "expected": "opens"},
        *({"name": name, **change, "expected": "not vouched for"} for name, change in refused.items()),
    ]


# A zstd frame with one raw block of two bytes (RFC 8878 §3.1.1).
NO_ARROW = bytes.fromhex("28b52ffd2002110000") + b"no"


def _size(floor: int, each: float, records: int) -> int:
    return _size_class(floor + int(each * (records + 7 * min(records, 4_096))))


def _size_class(length: int) -> int:
    return min(size for k in range(2, 40) for step in (4, 5, 6, 7) if (size := 2**k * step // 4) >= length)


def _message(kind: str, value: str) -> bytes:
    return bytes.fromhex(value.replace(":", "")) if kind == "mac" else value.encode()


def _first_64(octets: bytes) -> int:
    return int.from_bytes(octets[:8], "big")


def _probes(value: int, bits: int) -> list[int]:
    high, low = divmod(value, 1 << 32)
    return [(low + probe * high) % bits for probe in range(7)]
