"""Dead letters through gRPC: sealed and opened in order, and refused with a reason."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from privacyplease.proxy.v1 import dead_letter_service_pb2 as pb
from tests.services.cells import refusal
from tests.services.proxy import Proxied

PAYLOADS = [b"", b"\x00\xff not UTF-8", b'{"contract": "Lund"}']


def sealed(proxy: Proxied, payloads: list[bytes] = PAYLOADS, dataset: str = "bikes") -> list[bytes]:
    return list(proxy.letters.Seal(pb.SealRequest(dataset=dataset, payloads=payloads)).letters)


def opened(proxy: Proxied, letters: list[bytes], dataset: str = "bikes") -> tuple[list[bytes], list[int]]:
    response = proxy.letters.Open(pb.OpenRequest(dataset=dataset, letters=letters))
    return list(response.payloads), list(response.unopened)


def test_sealed_letters_open_in_order(proxy: Proxied) -> None:
    assert opened(proxy, sealed(proxy)) == (PAYLOADS, [])


def test_letters_that_do_not_open_are_listed_and_the_others_open(proxy: Proxied) -> None:
    first, second, third = sealed(proxy)
    (other,) = sealed(proxy, [b"of another data set"], "wifi")
    letters = [first, second[:-1] + bytes([second[-1] ^ 1]), third, b"", other]
    assert opened(proxy, letters) == ([PAYLOADS[0], b"", PAYLOADS[2], b"", b""], [1, 3, 4])


@pytest.mark.parametrize(
    ("call", "request_", "code", "reason", "field"),
    [
        ("Seal", pb.SealRequest(dataset="nope", payloads=[b"x"]), "NOT_FOUND", "UNKNOWN_DATASET", "dataset"),
        ("Open", pb.OpenRequest(letters=[b"x"]), "NOT_FOUND", "UNKNOWN_DATASET", "dataset"),
        ("Seal", pb.SealRequest(dataset="bikes"), "INVALID_ARGUMENT", "INVALID_REQUEST", "payloads"),
        ("Open", pb.OpenRequest(dataset="bikes"), "INVALID_ARGUMENT", "INVALID_REQUEST", "letters"),
        (
            "Seal",
            pb.SealRequest(dataset="bikes", payloads=[b""] * 10_001),
            "INVALID_ARGUMENT",
            "INVALID_REQUEST",
            "payloads",
        ),
        (
            "Seal",
            pb.SealRequest(dataset="bikes", payloads=[b"x" * (8 << 20), b"x" * ((8 << 20) + 1)]),
            "INVALID_ARGUMENT",
            "INVALID_REQUEST",
            "payloads",
        ),
    ],
    ids=["no such data set", "no data set", "no payload", "no letter", "too many", "too large"],
)
def test_an_invalid_request_is_refused_naming_the_field(
    proxy: Proxied, call: str, request_: Any, code: str, reason: str, field: str
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        getattr(proxy.letters, call)(request_)
    status, info, violations = refusal(refused.value)
    assert (status.name, info.reason) == (code, f"ERROR_REASON_{reason}")
    assert list(violations) == [field]


def test_the_largest_request_passes(proxy: Proxied) -> None:
    payloads = [b"x" * (8 << 20)] * 2
    letters = sealed(proxy, payloads)
    assert opened(proxy, letters) == (payloads, [])
    many = [b"m"] * 10_000
    assert opened(proxy, sealed(proxy, many)) == (many, [])
