"""A proxy on an exported keyring: counts people in one interval, and does nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from privacyplease.proxy import exported
from privacyplease.proxy.errors import CellsMissingError, CellsUnexpectedError, ConfigurationError, NotExportedError
from privacyplease.proxy.exported import Export, ExportedKeyring
from privacyplease.proxy.holdings import Holdings
from privacyplease.proxy.layouts import Layouts
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.tables import Sought
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.rollups import Rollups
from privacyplease.proxy.search import Search
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.verified import VerifiedStorage
from privacyplease.proxy.witness import Witness

CHANGED = "; if the period has changed since the keyring was exported, ask for a new one"


def over(file: Path, passphrase: str | None, storage: Storage, most_tags: int) -> ExportedSearch:
    """What a proxy on an exported keyring asks.

    Args:
        file: The keyring.
        passphrase: What opens it.
        storage: The storage server.
        most_tags: Tags that one question may touch.

    Raises:
        ConfigurationError: The file is not an exported keyring, or the home holds another proxy's store.
        WrongPassphraseError: The passphrase does not open it.
    """
    if passphrase is None:
        raise ConfigurationError("expected the exported keyring's passphrase; give it by PRIVACYPLEASE_PASSPHRASE")
    export = exported.load(file, passphrase)
    scratch = TemporaryDirectory(prefix="privacyplease-keyring-")
    store = trusted_store.open_store(Path(scratch.name) / "trusted.db")
    exported.fill(store, export)
    verified = VerifiedStorage(storage, Ledger(store, ExportedKeyring(export)))
    return ExportedSearch(export, verified, Layouts(store), Holdings(store), most_tags, scratch)


class ExportedSearch(Search):
    """Finds records of the exported interval."""

    def __init__(
        self,
        export: Export,
        storage: VerifiedStorage,
        layouts: Layouts,
        holdings: Holdings,
        most_tags: int,
        scratch: TemporaryDirectory[str],
    ) -> None:
        """Takes the parts; `scratch` holds what the keyring says of the trusted store, no key among it."""
        super().__init__(storage, ExportedKeyring(export), layouts, holdings, most_tags)
        self._export = export
        self._scratch = scratch

    @property
    def dataset(self) -> Dataset:
        """The one data set that can be asked about."""
        return self._export.dataset

    def find(
        self,
        dataset: Dataset,
        index: Index,
        interval: Interval,
        key: Sought,
        columns: Sequence[str],
        witness: Witness | None = None,
        rollups: Rollups | None = None,
    ) -> Iterator[pa.Table]:
        """See `Search.find`.

        Raises:
            NotExportedError: The interval reaches beyond what was exported.
        """
        allowed = self._export.interval
        if interval.start < allowed.start or interval.end > allowed.end:
            message = f"expected an interval within {_iso(allowed.start)} … {_iso(allowed.end)}, which was exported"
            raise NotExportedError(message, field="interval")
        try:
            yield from super().find(dataset, index, interval, key, columns, witness, rollups)
        except (CellsMissingError, CellsUnexpectedError) as error:
            raise type(error)(f"{error}{CHANGED}", **error.metadata) from error


def _iso(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
