"""Makes the known answers of `docs/FORMAT.md`: `python tests/vectors/make.py`.

Nothing of Privacy Please is imported. Each value is worked out again from the document alone, with the plainest tools
there are: one AES block at a time, HMAC from the standard library, the library's own CMAC. Inputs are hashes of their
names, so the files come out the same on every run.

Where a file holds what must be refused, its first vector is the good one, and each of the others says only in what it
differs from that.

`cells.json` alone depends on the versions of Arrow and zstd, which may write the same records in other bytes: there the
bytes are an example that every reader must open, not the only ones that a writer may make.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from datasketches import update_theta_sketch

FOLDER = Path(__file__).parent
DEPENDS_ON_LIBRARY_VERSIONS = frozenset({"cells"})

Vectors = list[dict[str, Any]]


def named(name: str, length: int = 32) -> bytes:
    """Bytes that stand for a key, a nonce or a tag: the hash of their name."""
    return hashlib.sha256(name.encode()).digest()[:length]


def context(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def aes(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def aes_cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def cmac() -> Vectors:
    """RFC 4493 §4, and lengths around the edges of blocks."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    message = bytes.fromhex(
        "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
    )
    published = {
        0: "bb1d6929e95937287fa37d129b756746",
        16: "070a16b46b4d4144f79bdd9dd04a287c",
        40: "dfa66747de9ae63030ca32611497c827",
        64: "51f0bebf7e3b9d92fc49741779363cfe",
    }
    rfc = [
        {"source": "RFC 4493", "key": key.hex(), "message": message[:length].hex(), "mac": mac}
        for length, mac in published.items()
    ]
    long_key, text = named("cmac key"), b"".join(named(f"cmac message {part}") for part in range(3))
    own = [
        {
            "source": "CMAC",
            "key": long_key.hex(),
            "message": text[:size].hex(),
            "mac": aes_cmac(long_key, text[:size]).hex(),
        }
        for size in (0, 1, 6, 15, 16, 17, 31, 32, 33, 80)
    ]
    return rfc + own


def keys() -> Vectors:
    """HKDF-Expand with SHA-256 for 32 bytes is one HMAC: T(1) = HMAC(key, info ‖ 01) (RFC 5869 §2.3)."""
    found = []
    for dataset, index in (("wifi", "subject"), ("wifi", "place"), ("badges", "subject")):
        data_key = named(f"data key of {dataset}")
        vector = {"data_key": data_key.hex(), "dataset": dataset, "index": index}
        for purpose in ("tag", "bin", "cell", "ledger"):
            info = context(f"privacyplease/v1/{purpose}".encode(), dataset.encode(), index.encode())
            vector[f"{purpose}_info"] = info.hex()
            vector[f"{purpose}_key"] = hmac.digest(data_key, info + b"\x01", "sha256").hex()
        found.append(vector)
    return found


def tags() -> Vectors:
    """One AES block for each (level, bucket, bin)."""
    key = named("tag key")
    places = [(0, 479_938, 0), (0, 479_938, 1), (0, 479_939, 0), (1, 479_938, 0), (7, 0, 65_535), (12, 70_389_528, 3)]
    found = []
    for level, bucket, bin_ in places:
        block = bytes([level, 0, 0, 0]) + bin_.to_bytes(4, "big") + bucket.to_bytes(8, "big")
        place = {"level": level, "bucket": bucket, "bin": bin_}
        found.append({"key": key.hex(), **place, "block": block.hex(), "tag": aes(key, block).hex()})
    return found


def set_hashes() -> Vectors:
    """CBC-MAC of (tag, cell id) for each cell, as four numbers of 32 bits; each of the four summed modulo 2^32."""
    key = named("ledger key")
    found = []
    for count in (0, 1, 2, 20):
        cells = [(named(f"tag {number % 3}")[:16], named(f"cell id {number}")[:16]) for number in range(count)]
        total = [0, 0, 0, 0]
        for tag, cell_id in cells:
            value = aes(key, bytes(a ^ b for a, b in zip(aes(key, tag), cell_id, strict=True)))
            parts = [int.from_bytes(value[at : at + 4], "big") for at in range(0, 16, 4)]
            total = [(kept + part) % 2**32 for kept, part in zip(total, parts, strict=True)]
        shown = [{"tag": tag.hex(), "cell_id": cell_id.hex()} for tag, cell_id in cells]
        found.append({"key": key.hex(), "set": shown, "cells": count, "hash": total})
    return found


def bins() -> Vectors:
    """CMAC of the key's bytes, its first eight as a number, modulo the number of bins."""
    key = named("bin key")
    values = [
        ("mac", "aa:bb:cc:dd:ee:ff", bytes.fromhex("aabbccddeeff")),
        ("mac", "00:00:00:00:00:01", bytes.fromhex("000000000001")),
        ("string", "ap-35", b"ap-35"),
        ("string", "Café > 2nd floor, behind the stairs", "Café > 2nd floor, behind the stairs".encode()),
        ("string", "北陸", "北陸".encode()),
    ]
    return [
        {
            "key": key.hex(),
            "type": kind,
            "value": value,
            "message": message.hex(),
            "bins": count,
            "bin": int.from_bytes(aes_cmac(key, message)[:8], "big") % count,
        }
        for kind, value, message in values
        for count in (1, 4, 8, 65_536)
    ]


def padme() -> Vectors:
    """The padded length: all but the first E-S bits of a length become zero, rounded up (PURBs, §4)."""
    found = []
    for length in (1, 2, 3, 8, 9, 10, 256, 257, 1_000, 1_024, 1_025, 65_535, 100_000, 4_194_304, 4_194_305):
        exponent = len(f"{length:b}") - 1  # floor(log2(length))
        kept = len(f"{exponent:b}")  # floor(log2(exponent)) + 1
        unit = 2 ** max(exponent - kept, 0)
        found.append({"length": length, "padded": -(-length // unit) * unit})
    return found


def wrapped_keys() -> Vectors:
    """A data key wrapped for (data set, epoch), and what must not open."""
    master, data_key, nonce = named("master key"), named("data key of wifi"), named("wrapping nonce", 12)

    def associated(dataset: str, epoch: int) -> bytes:
        return context(b"privacyplease/v1/data", dataset.encode(), epoch.to_bytes(8, "big", signed=True))

    wrapped = nonce + AESGCM(master).encrypt(nonce, data_key, associated("wifi", 666))
    good = {"name": "good", "dataset": "wifi", "epoch": 666, "wrapped": wrapped.hex(), "expected": "opens"}
    refused = [
        ("moved to another epoch", "wifi", 667, wrapped),
        ("moved to another data set", "badges", 666, wrapped),
        ("changed byte of the nonce", "wifi", 666, flipped(wrapped, 0)),
        ("changed byte of the key", "wifi", 666, flipped(wrapped, 20)),
        ("changed byte of the authentication tag", "wifi", 666, flipped(wrapped, -1)),
        ("truncated", "wifi", 666, wrapped[:-1]),
        ("empty", "wifi", 666, b""),
    ]
    shared = {"master_key": master.hex(), "data_key": data_key.hex(), "associated": associated("wifi", 666).hex()}
    return [good | shared] + [
        {"name": name, "dataset": dataset, "epoch": epoch, "wrapped": bad.hex(), "expected": "key unavailable"}
        for name, dataset, epoch, bad in refused
    ]


def hsm_keys() -> Vectors:
    """A data key wrapped under what an HSM computes, and what must not open."""
    secret, data_key, salt, nonce = named("hsm secret"), named("data key of wifi"), named("hsm salt"), named("n", 12)
    wrap_key = hmac.digest(secret, context(b"privacyplease/v1/hsm-wrap", salt), "sha256")
    associated = context(b"privacyplease/v1/data", b"wifi", (666).to_bytes(8, "big", signed=True))
    wrapped = salt + nonce + AESGCM(wrap_key).encrypt(nonce, data_key, associated)
    good = {"name": "good", "wrapped": wrapped.hex(), "expected": "opens"}
    inside = {"secret": secret.hex(), "wrap_key": wrap_key.hex(), "data_key": data_key.hex()}
    damaged = {
        "changed byte of the salt": flipped(wrapped, 0),
        "changed byte of the nonce": flipped(wrapped, 32),
        "changed byte of the key": flipped(wrapped, 50),
        "cut within the salt": wrapped[:31],
        "empty": b"",
    }
    refused = [{"name": name, "wrapped": bad.hex(), "expected": "key unavailable"} for name, bad in damaged.items()]
    return [good | inside | {"associated": associated.hex()}, *refused]


def master_keys() -> Vectors:
    """The master key's file, and files that must be refused."""
    passphrase, master = "correct horse battery staple", named("master key")
    salt, nonce = named("salt", 16), named("master nonce", 12)
    derive = Argon2id(salt=salt, length=32, iterations=3, lanes=4, memory_cost=65_536)
    passphrase_key = derive.derive(passphrase.encode())
    wrapped = nonce + AESGCM(passphrase_key).encrypt(nonce, master, context(b"privacyplease/v1/master"))
    file = {
        "format": "privacyplease master key v1",
        "iterations": 3,
        "lanes": 4,
        "memory_kib": 65_536,
        "salt": base64.b64encode(salt).decode(),
        "wrapped": base64.b64encode(wrapped).decode(),
    }
    damaged = base64.b64encode(flipped(wrapped, 30)).decode()
    good = {"name": "good", "passphrase": passphrase, "file": file, "expected": "opens"}
    return [
        good | {"passphrase_key": passphrase_key.hex(), "master_key": master.hex()},
        {"name": "wrong passphrase", "passphrase": "Correct horse", "expected": "wrong passphrase"},
        {"name": "changed byte", "file": file | {"wrapped": damaged}, "expected": "wrong passphrase"},
        {"name": "other costs", "file": file | {"iterations": 2}, "expected": "wrong passphrase"},
        {"name": "other format", "file": file | {"format": "v2"}, "expected": "bad file"},
        good
        | {"name": "costs that would stop the machine", "file": file | {"memory_kib": 2**40}, "expected": "bad file"},
        {"name": "costs below Argon2's own", "file": file | {"memory_kib": 8}, "expected": "bad file"},
        {"name": "short salt", "file": file | {"salt": "AAAA"}, "expected": "bad file"},
        {"name": "no salt", "file": {k: v for k, v in file.items() if k != "salt"}, "expected": "bad file"},
    ]


def rollups() -> Vectors:
    """The key of a data set's roll-ups, hashes of subjects under it, and the sketch of these."""
    found = []
    subjects = {"mac": ["aa:bb:cc:dd:ee:ff", "00:00:00:00:00:01", "ff:ff:ff:ff:ff:ff"], "string": ["bench-7", "北陸"]}
    for kind, values in subjects.items():
        data_key, dataset = named(f"data key of roll-ups by {kind}"), "wifi"
        info = context(b"privacyplease/v1/rollup", f"{dataset}/rollups".encode())
        key = hmac.digest(data_key, info + b"\x01", "sha256")
        messages = [bytes.fromhex(value.replace(":", "")) if kind == "mac" else value.encode() for value in values]
        hashes = [int.from_bytes(aes_cmac(key, message)[:8], "big", signed=True) for message in messages]
        made = update_theta_sketch(16)
        for value in hashes:
            made.update(value)
        found.append(
            {
                "data_key": data_key.hex(),
                "dataset": dataset,
                "info": info.hex(),
                "key": key.hex(),
                "type": kind,
                "values": values,
                "hashes": hashes,
                "sketch": made.compact().serialize().hex(),
            }
        )
    return found


def cells() -> Vectors:
    """A cell with a fixed nonce and id, and what must not open."""
    dataset, index, number = "wifi", "place", 1
    key, tag, cell_id, nonce = named("cell key"), named("tag", 16), named("cell id", 16), named("nonce", 12)
    schema = pa.schema(
        [
            ("client_mac", pa.int64()),
            ("ap_name", pa.string()),
            ("association_time", pa.timestamp("ms", tz="UTC")),
            ("session_duration", pa.duration("ms")),
        ]
    )
    records = [
        [0xAABBCCDDEEFF, "ap-35", 1_727_769_600_000, 45_000],
        [0x000000000001, "Café", 1_727_769_600_001, 0],
        [0xFFFFFFFFFFFF, "北陸", 1_727_773_199_999, 3_600_000],
    ]
    columns = [
        pa.array(list(values), field.type) for values, field in zip(zip(*records, strict=True), schema, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=schema)
    blank = [pa.array([value], field.type) for value, field in zip((0, "", 0, 0), schema, strict=True)]
    dictionary = pa.RecordBatch.from_arrays(blank, schema=schema).serialize().to_pybytes()
    primer = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    frame = zstandard.ZstdCompressor(level=1, dict_data=primer, write_dict_id=False).compress(batch.serialize())
    used = struct.pack(">II", number, len(frame)) + frame
    page = used + bytes(256 - len(used))

    def associated(dataset: str, index: str, tag: bytes, cell_id: bytes) -> bytes:
        return context(b"privacyplease/v1/cell-page", dataset.encode(), index.encode(), tag, cell_id)

    def seal(page: bytes) -> bytes:
        return b"\x01" + nonce + AESGCM(key).encrypt(nonce, page, associated(dataset, index, tag, cell_id))

    sealed = seal(page)
    shared = {
        "layout": number,
        "arrow_schema": schema.serialize().to_pybytes().hex(),
        "dictionary": dictionary.hex(),
        "cell_key": key.hex(),
        "nonce": nonce.hex(),
        "page": page.hex(),
        "associated": associated(dataset, index, tag, cell_id).hex(),
        "records": records,
    }
    place = {"dataset": dataset, "index": index, "tag": tag.hex(), "cell_id": cell_id.hex()}
    good = {"name": "good", **place, "sealed": sealed.hex(), "expected": "opens", **shared}
    damaged: dict[str, dict[str, str]] = {
        "changed version": {"sealed": flipped(sealed, 0).hex()},
        "wrong version": {"sealed": (b"\x02" + sealed[1:]).hex()},
        "changed byte of the nonce": {"sealed": flipped(sealed, 1).hex()},
        "changed byte of the page": {"sealed": flipped(sealed, 13).hex()},
        "changed byte of the padding": {"sealed": flipped(sealed, -17).hex()},
        "changed byte of the authentication tag": {"sealed": flipped(sealed, -1).hex()},
        "truncated": {"sealed": sealed[:-1].hex()},
        "cut to the nonce": {"sealed": sealed[:13].hex()},
        "cut within the nonce": {"sealed": sealed[:5].hex()},
        "extended": {"sealed": (sealed + b"\x00").hex()},
        "empty": {"sealed": ""},
        "moved under another tag": {"tag": named("other tag", 16).hex()},
        "given another cell id": {"cell_id": named("other cell id", 16).hex()},
        "moved to another data set": {"dataset": "badges"},
        "moved to another index": {"index": "subject"},
        "sealed under another key": {"cell_key": named("other cell key").hex()},
    }
    refused = [{"name": name, **change, "expected": "cell damaged"} for name, change in damaged.items()]
    unknown = seal(struct.pack(">I", 2) + page[4:])
    refused.append({"name": "unknown layout", "sealed": unknown.hex(), "expected": "key unavailable"})
    return [good, *refused]


def letters() -> Vectors:
    """A dead letter, and what must not open."""
    epoch, data_key, nonce, payload = 666, named("data key of letters"), named("letter nonce", 12), b'{"mac": "oops"}'
    info = context(b"privacyplease/v1/cell", b"wifi/letters", b"letters")
    key = hmac.digest(data_key, info + b"\x01", "sha256")
    associated = context(b"privacyplease/v1/letter", b"wifi", epoch.to_bytes(8, "big", signed=True))
    letter = b"\x01" + epoch.to_bytes(8, "big", signed=True) + nonce + AESGCM(key).encrypt(nonce, payload, associated)
    good = {"name": "good", "dataset": "wifi", "letter": letter.hex(), "expected": "opens"}
    damaged = {
        "changed version": flipped(letter, 0),
        "changed epoch": flipped(letter, 8),
        "changed byte of the nonce": flipped(letter, 9),
        "changed byte of the payload": flipped(letter, 21),
        "changed byte of the authentication tag": flipped(letter, -1),
        "truncated": letter[:-1],
        "cut within the nonce": letter[:15],
        "empty": b"",
    }
    inside = {"epoch": epoch, "data_key": data_key.hex(), "payload": payload.hex(), "associated": associated.hex()}
    return [
        good | inside,
        *({"name": name, "letter": bad.hex(), "expected": "does not open"} for name, bad in damaged.items()),
        {"name": "meant for another data set", "dataset": "bikes", "expected": "does not open"},
    ]


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0x01
    return bytes(changed)


FILES: dict[str, Callable[[], Vectors]] = {
    made.__name__: made
    for made in (
        *(cmac, keys, tags, bins, padme, set_hashes, rollups),
        *(wrapped_keys, hsm_keys, master_keys, cells, letters),
    )
}


def text(name: str) -> str:
    """The file of that name, as it is committed."""
    return json.dumps(FILES[name](), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name in FILES:
        (FOLDER / f"{name}.json").write_text(text(name), encoding="utf-8")
