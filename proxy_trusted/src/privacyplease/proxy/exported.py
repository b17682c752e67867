"""Exported keyrings: what counts the people of some periods, and opens nothing else.

::

    file = JSON: format, costs and salt of Argon2id, sealed (nonce ‖ AES-256-GCM(passphrase key, nonce, body))
    body = JSON: the data set as one index sees it, the interval, and for each period that it touches
           the four keys of that index, holdings, layouts, and what the ledger had of it

A data key is not in it, and cannot be found from what is: the keys are outputs of HKDF-Expand under labels of their own
(`keys.py`), which are independent for whoever lacks its input (RFC 5869). So the holder can open neither another index
of the same periods nor any other period.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from sqlalchemy import Engine, insert

from privacyplease.proxy import holdings
from privacyplease.proxy.errors import ConfigurationError, KeyUnavailableError
from privacyplease.proxy.holdings import Place, Run
from privacyplease.proxy.keys import master_key as masterkey
from privacyplease.proxy.keys.derivation import IndexKeys, Key, context
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.layouts import Layout
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.dataset import Dataset, Index
from privacyplease.proxy.records.timeline import Interval, Timeline
from privacyplease.proxy.trusted_store import store as trusted_store

FORMAT = "privacyplease exported keyring v1"
EXPORT_LABEL = b"privacyplease/v1/export"


class Total(NamedTuple):
    """What the ledger had under a tag: how many cells, and the four numbers of their set hash."""

    tag: bytes
    epoch: int
    cells: int
    hashed: tuple[int, ...]


@dataclass(frozen=True)
class Export:
    """The content of an exported keyring.

    Attributes:
        dataset: The data set with the exported index alone, and the columns that it carries.
        interval: What may be asked about.
        made_at: When it was made, in ms since 1970: what came later is not in it.
        keys: The index's keys, by epoch.
        buckets: The open buckets in which data lies that overlaps the interval.
        runs: The runs in which it lies.
        layouts: How it lies in its cells.
        totals: Which cells the storage server must have.
    """

    dataset: Dataset
    interval: Interval
    made_at: int
    keys: dict[int, IndexKeys]
    buckets: list[Place]
    runs: list[Run]
    layouts: list[Layout]
    totals: list[Total]

    @property
    def index(self) -> Index:
        """The exported index."""
        (index,) = self.dataset.indexes.values()
        return index


class ExportedKeyring(Keyring):
    """The keys of one index in some epochs. There is no master key and no data key behind it."""

    def __init__(self, export: Export) -> None:
        self._export = export

    def epochs(self, dataset: str) -> list[int]:
        """See `Keyring.epochs`."""
        return sorted(self._export.keys) if dataset == self._export.dataset.name else []

    def keys(self, dataset: str, epoch: int, index: str) -> IndexKeys:
        """See `Keyring.keys`."""
        if (dataset, index) != (self._export.dataset.name, self._export.index.name) or epoch not in self._export.keys:
            raise KeyUnavailableError("the exported keyring does not hold this key")
        return self._export.keys[epoch]


def seal(export: Export, passphrase: str) -> bytes:
    """The file's content."""
    return masterkey.sealed_by(passphrase, FORMAT, json.dumps(_body(export)).encode(), context(EXPORT_LABEL))


def load(path: Path, passphrase: str) -> Export:
    """Opens a file.

    Raises:
        ConfigurationError: It cannot be read or is not of this format.
        WrongPassphraseError: The passphrase does not open it.
    """
    body = masterkey.opened_by(passphrase, FORMAT, path, context(EXPORT_LABEL))
    try:
        return _export(json.loads(body))
    except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise ConfigurationError(f"{path}: expected a file of format {FORMAT!r}") from error


def fill(store: Engine, export: Export) -> None:
    """Puts holdings, layouts and ledger into an empty trusted store."""
    dataset, index = export.dataset.name, export.index.name
    layouts = [
        {"dataset": dataset, "index_name": index, "layout": layout.number}
        | {"arrow_schema": layout.schema.serialize().to_pybytes(), "dictionary": layout.dictionary}
        for layout in export.layouts
    ]
    totals = [
        {"tag": total.tag, "dataset": dataset, "epoch": total.epoch, "cells": total.cells}
        | {f"hash{part}": value for part, value in enumerate(total.hashed)}
        for total in export.totals
    ]
    with store.begin() as connection:
        holdings.fill(connection, dataset, index, export.buckets, export.runs)
        for table, rows in (
            (trusted_store.layouts, layouts),
            (trusted_store.ledger, totals),
        ):
            if rows:
                connection.execute(insert(table), rows)


def _body(export: Export) -> dict[str, Any]:
    dataset, index = export.dataset, export.index
    return {
        "dataset": {
            "name": dataset.name,
            "title": dataset.title,
            "columns": {name: str(dataset.columns[name]) for name in index.columns},
            "subject": dataset.subject,
            "place": dataset.place,
            "start": dataset.start,
            "duration": dataset.duration,
            "base": dataset.timeline.base,
            "epoch": dataset.timeline.epoch,
        },
        "index": {"name": index.name, "key": index.key, "bins": index.bins, "columns": index.columns},
        "interval": export.interval,
        "made_at": export.made_at,
        "keys": {
            epoch: [_text(key.reveal()) for key in (keys.tag, keys.bin, keys.cell, keys.ledger)]
            for epoch, keys in export.keys.items()
        },
        "buckets": export.buckets,
        "runs": export.runs,
        "layouts": [
            [layout.number, _text(layout.schema.serialize().to_pybytes()), _text(layout.dictionary)]
            for layout in export.layouts
        ],
        "totals": [[_text(total.tag), total.epoch, total.cells, total.hashed] for total in export.totals],
    }


def _export(body: dict[str, Any]) -> Export:
    fields, index = dict(body["dataset"]), body["index"]
    fields["columns"] = {name: ColumnType(kind) for name, kind in fields["columns"].items()}
    fields["timeline"] = Timeline(base=fields.pop("base"), epoch=fields.pop("epoch"))
    only = Index(index["name"], index["key"], index["bins"], tuple(index["columns"]))
    return Export(
        dataset=Dataset(**fields, indexes={only.name: only}),
        interval=Interval(*body["interval"]),
        made_at=body["made_at"],
        keys={int(epoch): IndexKeys(*map(_key, keys)) for epoch, keys in body["keys"].items()},
        buckets=[Place(*place) for place in body["buckets"]],
        runs=[Run(*run) for run in body["runs"]],
        layouts=[
            Layout(number, pa.ipc.read_schema(pa.py_buffer(b64decode(schema))), b64decode(dictionary))
            for number, schema, dictionary in body["layouts"]
        ],
        totals=[Total(b64decode(tag), epoch, cells, tuple(hashed)) for tag, epoch, cells, hashed in body["totals"]],
    )


def _text(octets: bytes) -> str:
    return b64encode(octets).decode()


def _key(text: str) -> Key:
    return Key(b64decode(text))
