"""Known answers about keys: derived, wrapped, in a file, in an HSM, and dead letters under them."""

from __future__ import annotations

import base64
import hmac
import struct

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from tests.vectors.primitives import Vectors, cmac, context, flipped, hkdf_expand, named, sealed

OWNERS = [
    *((purpose, "wifi", group) for purpose in ("tag", "cell") for group in ("core", "rest", "rollup")),
    ("tag", "badges", "core"),
    ("digest", "wifi"),
    ("manifest-row", "wifi/manifest"),
    ("filter", "wifi/manifest"),
    ("rollup", "wifi/manifest"),
    ("letter", "wifi/letters"),
    ("head", "/manifest"),
    ("head-tag", "/manifest"),
    ("head-chain", "/manifest"),
]


def cmacs() -> Vectors:
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
            "mac": cmac(long_key, text[:size]).hex(),
        }
        for size in (0, 1, 6, 15, 16, 17, 31, 32, 33, 80)
    ]
    return rfc + own


def keys() -> Vectors:
    """Every key that comes from a data key."""
    found = []
    for purpose, owner, *group in OWNERS:
        data_key, label = named(f"data key of {owner}"), f"privacyplease/v2/{purpose}"
        info = context(label, owner, *group)
        names = {"data_key": data_key.hex(), "label": label, "parts": [owner, *group]}
        found.append(names | {"info": info.hex(), "key": hkdf_expand(data_key, info).hex()})
    return found


def wrapped_keys() -> Vectors:
    """A data key wrapped for (owner, epoch, generation), and what must not open."""
    master, data_key, nonce = named("master key"), named("data key of wifi"), named("wrapping nonce", 12)
    wrapped = sealed(master, nonce, data_key, _data_key_of("wifi", 666, 1))
    good = {"name": "good", "owner": "wifi", "epoch": 666, "generation": 1, "wrapped": wrapped.hex()}
    shared = {"master_key": master.hex(), "data_key": data_key.hex(), "associated": _data_key_of("wifi", 666, 1).hex()}
    elsewhere: list[dict[str, object]] = [
        {"name": "moved to another epoch", "epoch": 667},
        {"name": "moved to another generation", "generation": 0},
        {"name": "moved to another data set", "owner": "badges"},
        {"name": "moved to the data set's manifest", "owner": "wifi/manifest"},
        {"name": "opened under another master key", "master_key": named("other master key").hex()},
    ]
    damaged = {
        "changed byte of the nonce": flipped(wrapped, 0),
        "changed byte of the key": flipped(wrapped, 20),
        "changed byte of the authentication tag": flipped(wrapped, -1),
        "truncated": wrapped[:-1],
        "cut within the nonce": wrapped[:7],
        "empty": b"",
    }
    changed = [{"name": name, "wrapped": bad.hex()} for name, bad in damaged.items()]
    return [
        good | shared | {"expected": "opens"},
        *(each | {"expected": "key unavailable"} for each in elsewhere),
        *(each | {"expected": "key unavailable"} for each in changed),
    ]


def erasable_keys() -> Vectors:
    """A data key wrapped by a key-encryption key and by the master key, and what must not open."""
    master, kek, data_key = named("master key"), named("key-encryption key"), named("data key of wifi")
    name = named("kek name", 16).hex()

    def bound(kek_name: str, epoch: int = 666) -> bytes:
        return context("privacyplease/v3/data", "wifi", struct.pack(">q", epoch), struct.pack(">I", 1), kek_name)

    def wrapped(outer: bytes, inner: bytes) -> bytes:
        nested = sealed(kek, named("inner nonce", 12), data_key, inner)
        return sealed(master, named("outer nonce", 12), nested, outer)

    good = wrapped(bound(name), bound(name))
    where = {"name": "good", "owner": "wifi", "epoch": 666, "generation": 1, "kek_name": name, "wrapped": good.hex()}
    keys = {"master_key": master.hex(), "kek": kek.hex(), "data_key": data_key.hex(), "associated": bound(name).hex()}
    other = named("other kek name", 16).hex()
    changed: list[dict[str, object]] = [
        {"name": "opened under another master key", "master_key": named("other master key").hex()},
        {"name": "opened under another key-encryption key", "kek": named("other key-encryption key").hex()},
        {"name": "said to lie under another key-encryption key", "kek_name": other},
        {"name": "moved to another epoch", "epoch": 667},
        {"name": "inner layer of another epoch", "wrapped": wrapped(bound(name), bound(name, 667)).hex()},
        {"name": "changed byte of the outer layer", "wrapped": flipped(good, 30).hex()},
        {"name": "truncated", "wrapped": good[:-1].hex()},
    ]
    return [where | keys | {"expected": "opens"}, *(each | {"expected": "key unavailable"} for each in changed)]


def hsm_keys() -> Vectors:
    """A data key wrapped under what an HSM computes, and what must not open."""
    secret, data_key, salt, nonce = named("hsm secret"), named("data key of wifi"), named("hsm salt"), named("n", 12)
    wrap_key = hmac.digest(secret, context("privacyplease/v1/hsm-wrap", salt), "sha256")
    associated = _data_key_of("wifi", 666, 0)
    wrapped = salt + sealed(wrap_key, nonce, data_key, associated)
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
    wrapped = sealed(passphrase_key, nonce, master, context("privacyplease/v1/master"))
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
        {"name": "costs that would stop the machine", "file": file | {"memory_kib": 2**40}, "expected": "bad file"},
        {"name": "costs below Argon2's own", "file": file | {"memory_kib": 8}, "expected": "bad file"},
        {"name": "short salt", "file": file | {"salt": "AAAA"}, "expected": "bad file"},
        {"name": "no salt", "file": {k: v for k, v in file.items() if k != "salt"}, "expected": "bad file"},
    ]


def letters() -> Vectors:
    """A dead letter, and what must not open."""
    epoch, data_key, nonce, payload = 666, named("data key of letters"), named("letter nonce", 12), b'{"mac": "oops"}'
    key = hkdf_expand(data_key, context("privacyplease/v2/letter", "wifi/letters"))
    associated = context("privacyplease/v2/letter", "wifi", struct.pack(">q", epoch))
    letter = b"\x02" + struct.pack(">q", epoch) + sealed(key, nonce, payload, associated)
    good = {"name": "good", "dataset": "wifi", "letter": letter.hex(), "expected": "opens"}
    inside = {"epoch": epoch, "data_key": data_key.hex(), "payload": payload.hex(), "associated": associated.hex()}
    damaged = {
        "version 1": b"\x01" + letter[1:],
        "changed epoch": flipped(letter, 8),
        "changed byte of the nonce": flipped(letter, 9),
        "changed byte of the payload": flipped(letter, 21),
        "changed byte of the authentication tag": flipped(letter, -1),
        "truncated": letter[:-1],
        "cut within the nonce": letter[:15],
        "empty": b"",
    }
    return [
        good | inside,
        *({"name": name, "letter": bad.hex(), "expected": "does not open"} for name, bad in damaged.items()),
        {"name": "meant for another data set", "dataset": "bikes", "expected": "does not open"},
    ]


def _data_key_of(owner: str, epoch: int, generation: int) -> bytes:
    return context("privacyplease/v2/data", owner, struct.pack(">q", epoch), struct.pack(">I", generation))
