from __future__ import annotations

import re

import pytest

from privacyplease.transport.address import checked_address


@pytest.mark.parametrize("address", ["localhost:1", "10.0.0.1:65535", "[::1]:50050", "[fe80::1%eth0]:1", "a_b-c.d:9"])
def test_an_address_has_a_host_and_a_port(address: str) -> None:
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address",
    [
        *("", "proxy", "proxy:", ":50050", "proxy:0", "proxy:99999", "proxy:http", "proxy:٣"),
        *("http://proxy:50050", "http://proxy", "user@proxy:1", "::1:50050", "[::1]", "a b:1", "a:1\n", "a:1,b:1"),
    ],
)
def test_anything_else_is_rejected_with_what_was_given(address: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"expected HOST:PORT, got {address!r}")):
        checked_address(address)
