"""The file of an exported keyring, which allows counting people in some periods, and nothing else.

::

    file = JSON: format, costs and salt of Argon2id, sealed (nonce ‖ AES-256-GCM(passphrase key, nonce, body))
    body = JSON: the data set with the columns of its core, the interval, the core's tag key and cell key for each data
           key that it touches, and for each segment the manifest's entry for its core, without the digest

It holds no data key, and none can be computed from it: its keys are outputs of HKDF-Expand under separate labels
(`keys/derivation.py`), which are independent to anyone who lacks the input (RFC 5869). So the holder can open neither
another group of the same periods nor any other period. It holds no digest key either: with the cell key the holder can
seal a page of their own, but the proxy rejects it, since its manifest has the digest of the genuine one.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privacyplease.proxy.documents import from_json
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.derivation import GroupKeys, Key, KeyId, context
from privacyplease.proxy.keys.master_key import opened_by, sealed_by
from privacyplease.proxy.manifest.rows import CellEntry, ManifestRow, SegmentState
from privacyplease.proxy.records.columns import ColumnType
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.records.timeline import Interval
from privacyplease.proxy.segments.groups import Group, SegmentId
from privacyplease.proxy.segments.sealing import Digest
from privacyplease.proxy.segments.segment import Summary

FORMAT = "privacyplease exported keyring v2"
EXPORT_LABEL = b"privacyplease/v2/export"


@dataclass(frozen=True)
class Export:
    """The content of an exported keyring.

    Attributes:
        dataset: The data set, with the columns of its core.
        interval: The interval that may be asked about.
        made_at: When it was made, in ms since 1970; records stored later are not covered.
        keys: The keys of the core.
        segments: Rows of the segments that questions about the interval touch, each with its core only, and without
            digest and filter.
    """

    dataset: Dataset
    interval: Interval
    made_at: int
    keys: dict[KeyId, GroupKeys]
    segments: list[ManifestRow]


def seal(export: Export, passphrase: str) -> bytes:
    """The content of the file."""
    return sealed_by(passphrase, FORMAT, json.dumps(_body(export)).encode(), context(EXPORT_LABEL))


def load(path: Path, passphrase: str) -> Export:
    """Opens a file.

    Raises:
        ConfigurationError: The file cannot be read, or has another format.
        WrongPassphraseError: The passphrase does not open it.
    """
    body = opened_by(passphrase, FORMAT, path, context(EXPORT_LABEL))
    try:
        return _export(from_json(body))
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path}: expected a file of format {FORMAT!r}") from error


def _body(export: Export) -> dict[str, Any]:
    dataset = export.dataset
    return {
        "dataset": {
            "name": dataset.name,
            "title": dataset.title,
            "columns": {name: str(dataset.columns[name]) for name in dataset.required},
            "subject": dataset.subject,
            "place": dataset.place,
            "start": dataset.start,
            "duration": dataset.duration,
            "epoch": dataset.epoch,
            "whole_days": dataset.whole_days,
        },
        "interval": export.interval,
        "made_at": export.made_at,
        "keys": [[*key, _text(keys.tag), _text(keys.cell)] for key, keys in sorted(export.keys.items())],
        "segments": [
            [row.number, *row.key, *_times(row.summary), row.groups[Group.CORE].size] for row in export.segments
        ],
    }


def _times(summary: Summary) -> tuple[int, ...]:
    return summary.records, summary.first, summary.last, summary.reach


def _export(body: dict[str, Any]) -> Export:
    fields = dict(body["dataset"])
    fields["columns"] = {name: ColumnType(kind) for name, kind in fields["columns"].items()}
    dataset = Dataset(**fields, budgets={})
    return Export(
        dataset=dataset,
        interval=Interval(*body["interval"]),
        made_at=body["made_at"],
        keys={
            KeyId(epoch, generation): GroupKeys(_key(tag), _key(cell)) for epoch, generation, tag, cell in body["keys"]
        },
        segments=[_row(dataset.name, *segment) for segment in body["segments"]],
    )


def _row(
    dataset: str, number: int, epoch: int, generation: int, records: int, first: int, last: int, reach: int, size: int
) -> ManifestRow:
    summary = Summary(records, first, last, reach, longest=0, subjects=b"")
    core = {Group.CORE: CellEntry(size, Digest(b""))}
    return ManifestRow(
        dataset, SegmentId(number), SegmentState.LIVE, 0, KeyId(epoch, generation), False, 0, summary, core
    )


def _text(key: Key) -> str:
    return b64encode(key.reveal()).decode()


def _key(text: str) -> Key:
    return Key(b64decode(text))
