"""Shapes: the part of a data set's definition that cannot change once data is stored under it.

A record's identity and the width of an epoch are fixed, and so is the type of every column that was ever stored.
Columns may be added and dropped. The stored values of a dropped column stay, and reappear if it is added again.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine, select

from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.trusted_store.store import writing
from privacyplease.proxy.trusted_store.tables import shapes
from privacyplease.proxy.trusted_store.upsert import inserted_or

Shape = dict[str, Any]


class Shapes:
    """The shapes of all data sets, in the trusted store. Safe to use from many threads."""

    def __init__(self, store: Engine) -> None:
        self._store = store
        self._settled: dict[str, Dataset] = {}
        self._lock = threading.Lock()

    def settle(self, dataset: Dataset) -> None:
        """Records a definition's shape durably, so that what is stored under it can be read under later definitions.

        Raises:
            ConfigurationError: The definition changes what cannot change.
        """
        with self._lock:
            if self._settled.get(dataset.name) is dataset:
                return
            with writing(self._store) as connection:
                text = connection.scalar(select(shapes.c.shape).where(shapes.c.dataset == dataset.name))
                shape = _merged(dataset, json.loads(text) if text else None)
                put = inserted_or(self._store.dialect, shapes, lambda new: {"shape": new.shape})
                connection.execute(put, {"dataset": dataset.name, "shape": json.dumps(shape, sort_keys=True)})
            self._settled[dataset.name] = dataset

    def check(self, datasets: Mapping[str, Dataset]) -> None:
        """Checks definitions against the recorded shapes, without recording anything.

        Raises:
            ConfigurationError: As `settle`.
        """
        with self._store.connect() as connection:
            stored = {row.dataset: json.loads(row.shape) for row in connection.execute(select(shapes))}
        for name, dataset in datasets.items():
            _merged(dataset, stored.get(name))


def _merged(dataset: Dataset, stored: Shape | None) -> Shape:
    """The stored shape with the definition's columns added.

    Raises:
        ConfigurationError: The definition contradicts the stored shape.
    """
    types = {name: str(kind) for name, kind in dataset.columns.items()}
    if stored is None:
        return {**dataset.shape, "columns": types}
    for entry, value in dataset.shape.items():
        if stored[entry] != value:
            raise ConfigurationError(
                f"data set {dataset.name!r}: epoch_days and the roles of columns are fixed once data is stored; "
                f"expected {entry} {stored[entry]}, got {value}"
            )
    for name, kind in stored["columns"].items():
        if types.get(name, kind) != kind:
            raise ConfigurationError(
                f"data set {dataset.name!r}: column {name!r} is stored as {kind}; got {types[name]}"
            )
    return {**stored, "columns": {**stored["columns"], **types}}
