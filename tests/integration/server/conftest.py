"""A storage server over each kind of store, called through gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from privacyplease.server import Limits
from privacyplease.storage.v1 import storage_service_pb2_grpc as rpc
from tests.services.storage import Served, serving


@pytest.fixture
def served(storage_url: str) -> Iterator[Served]:
    """A server in this process over an empty store, with the default limits."""
    with serving(storage_url) as running:
        yield running


@pytest.fixture
def stub(served: Served) -> rpc.StorageServiceStub:
    return served.stub


@pytest.fixture
def limited(storage_url: str) -> Iterator[Callable[[Limits], rpc.StorageServiceStub]]:
    """Starts a server with given limits."""
    with ExitStack() as stack:
        yield lambda limits: stack.enter_context(serving(storage_url, limits)).stub
