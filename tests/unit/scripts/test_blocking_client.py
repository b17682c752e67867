"""scripts/blocking_client.py: how asynchronous source becomes synchronous."""

from textwrap import dedent

import pytest

from tests.unit.scripts.test_scripts import script

blocking = script("blocking_client").blocking


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("async def count(self) -> AsyncCount:", "def count(self) -> Count:"),
        ("return [page async for page in await pages()]", "return [page for page in pages()]"),
        ("async with AsyncClient() as client:", "with Client() as client:"),
        ("def stub(self) -> PresenceServiceAsyncStub:", "def stub(self) -> PresenceServiceStub:"),
        ("import grpc.aio", "import grpc"),
        (
            "from privacyplease.client._internal.aio.keys import x",
            "from privacyplease.client._internal.blocking.keys import x",
        ),
        ("asyncio = awaited  # await nothing", "asyncio = awaited  # nothing"),
    ],
)
def test_keywords_and_names(source: str, expected: str) -> None:
    assert blocking(source) == expected


def test_examples_in_docstrings() -> None:
    source = '''
        async def count(self) -> int:
            """How many.

            >>> await client.count()
            >>> async for batch in records:
            """
            return await self._count()
    '''
    expected = '''
        def count(self) -> int:
            """How many.

            >>> client.count()
            >>> for batch in records:
            """
            return self._count()
    '''
    assert blocking(dedent(source)) == dedent(expected)
