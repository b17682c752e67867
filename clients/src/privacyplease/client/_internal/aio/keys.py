"""The life of keys."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from privacyplease.client._internal.messages import keys as messages
from privacyplease.client.keys import Destroyed, ExportedKeyring, Keys, Renewed
from privacyplease.proxy.v1.keys_service_pb2 import ListKeysRequest, RotateMasterRequest

if TYPE_CHECKING:
    from privacyplease.client._internal.aio.connection import AsyncConnection
    from privacyplease.proxy.v1.keys_service_pb2_grpc import KeysServiceAsyncStub


class AsyncKeyMethods:
    """Listing, rotating, exporting and destroying keys."""

    _connection: AsyncConnection

    async def keys(self, dataset: str | None = None) -> Keys:
        """Which periods have a key, and which keys were destroyed.

        Args:
            dataset: Only this data set.
        """
        request = ListKeysRequest(dataset=dataset or "")
        return messages.keys(await self._connection.answer(self._keys.ListKeys, request))

    async def rotate_master(self, master_key: str = "passphrase", *, passphrase: str = "") -> int:
        """Replaces the master key: every data key is wrapped again, and no cell is touched.

        `timeout` does not apply.

        Args:
            master_key: Where it is held: "passphrase", or the name of an entry in `allowed-master-keys.toml`, a file in
                the proxy's home.
            passphrase: The new passphrase, for "passphrase"; if empty, the proxy generates one and keeps it in its
                home.

        Returns:
            How many data keys were wrapped again.
        """
        request = RotateMasterRequest(master_key=master_key, passphrase=passphrase)
        response = await self._connection.long_answer(self._keys.RotateMaster, request)
        return response.keys

    async def rotate_epoch(self, dataset: str, containing: datetime) -> Renewed:
        """Renews the key of one period: its records are sealed again, and the old key is destroyed.

        Answers stay correct meanwhile. `timeout` does not apply: the whole period is read and written. If the call is
        interrupted, the proxy completes it.

        Args:
            dataset: The data set.
            containing: An instant in the period.
        """
        request = messages.rotate_epoch(dataset, containing)
        return messages.renewed(await self._connection.long_answer(self._keys.RotateEpoch, request))

    async def export_keyring(
        self, start: datetime, end: datetime, *, passphrase: str, dataset: str = "wifi"
    ) -> ExportedKeyring:
        """Makes a keyring that allows its holder to count people in an interval, as of now, and nothing more.

        It opens who was where, from when and for how long, for every period that the interval touches, whole periods:
        check its `epochs` before handing it over. Records ingested later are not part of it, and once the interval is
        compacted a new keyring is needed. `python -m privacyplease.proxy --keyring FILE` counts with it.

        Args:
            start: The first instant.
            end: The last instant, included.
            passphrase: Opens the keyring.
            dataset: The data set.
        """
        request = messages.export(dataset, start, end, passphrase)
        return messages.exported(await self._connection.pages(self._keys.ExportKeyring, request))

    async def destroy_epochs(
        self,
        dataset: str,
        *,
        before: datetime | None = None,
        containing: datetime | None = None,
        dry_run: bool = False,
    ) -> Destroyed:
        """Erases periods: their keys are destroyed and their cells deleted. This cannot be undone.

        `timeout` does not apply.

        Args:
            dataset: The data set.
            before: Every period that ended by then.
            containing: Instead of `before`: the period that contains this instant.
            dry_run: Only report what would be destroyed.

        Raises:
            StorageUnavailableError: The periods can no longer be read; their cells are deleted when the storage server
                is available again.
        """
        request = messages.destroy(dataset, before, containing, dry_run)
        return messages.destroyed(await self._connection.long_answer(self._keys.DestroyEpochs, request))

    @property
    def _keys(self) -> KeysServiceAsyncStub:
        from privacyplease.proxy.v1.keys_service_pb2_grpc import KeysServiceStub

        return self._connection.stub(KeysServiceStub)
