"""Requests and results about keys: listing, rotating, exporting and destroying them."""

from collections.abc import Sequence
from datetime import datetime

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.messages.requests import interval
from privacyplease.client._internal.times import instant, timestamp
from privacyplease.client.keys import DatasetKeys, Destroyed, Epoch, EpochState, ExportedKeyring, Keys, Renewed
from privacyplease.proxy.v1 import keys_service_pb2 as pb

_STATES = {
    pb.EPOCH_STATE_IN_USE: EpochState.IN_USE,
    pb.EPOCH_STATE_BEING_DESTROYED: EpochState.BEING_DESTROYED,
    pb.EPOCH_STATE_DESTROYED: EpochState.DESTROYED,
}


def destroy(
    dataset: str, before: datetime | None, containing: datetime | None, dry_run: bool
) -> pb.DestroyEpochsRequest:
    """A request to destroy the keys of epochs.

    Raises:
        ValueError: Not exactly one of `before` and `containing` is given.
    """
    if (before is None) == (containing is None):
        got = "neither" if before is None else "both"
        raise ValueError(f"expected either before or containing, got {got}")
    return pb.DestroyEpochsRequest(
        dataset=dataset,
        before=None if before is None else timestamp(before),
        containing=None if containing is None else timestamp(containing),
        dry_run=dry_run,
    )


@reads_answers
def keys(response: pb.ListKeysResponse) -> Keys:
    """All keys."""
    return Keys(response.master_key, tuple(_dataset(message) for message in response.datasets))


def rotate_epoch(dataset: str, containing: datetime) -> pb.RotateEpochRequest:
    """A request to renew the key of an epoch."""
    return pb.RotateEpochRequest(dataset=dataset, containing=timestamp(containing))


@reads_answers
def renewed(response: pb.RotateEpochResponse) -> Renewed:
    """The epoch with its new key."""
    return Renewed(_epoch(response.epoch), response.records)


def export(dataset: str, start: datetime, end: datetime, passphrase: str) -> pb.ExportKeyringRequest:
    """A request to export a keyring."""
    return pb.ExportKeyringRequest(dataset=dataset, interval=interval(start, end), passphrase=passphrase)


@reads_answers
def exported(pages: Sequence[pb.ExportKeyringResponse]) -> ExportedKeyring:
    """Joins the pages of ExportKeyring."""
    epochs = tuple(_epoch(epoch) for page in pages for epoch in page.epochs)
    return ExportedKeyring(b"".join(page.keyring for page in pages), epochs)


@reads_answers
def destroyed(response: pb.DestroyEpochsResponse) -> Destroyed:
    """The epochs whose keys were destroyed."""
    return Destroyed(tuple(_epoch(message) for message in response.epochs), response.cells)


def _dataset(message: pb.DatasetKeys) -> DatasetKeys:
    retain = message.retain.ToTimedelta() if message.HasField("retain") else None
    return DatasetKeys(message.dataset, retain, tuple(_epoch(epoch) for epoch in message.epochs))


def _epoch(message: pb.Epoch) -> Epoch:
    return Epoch(
        start=instant(message.start),
        end=instant(message.end),
        state=_STATES[message.state],
        made_at=instant(message.made_at) if message.HasField("made_at") else None,
        destroyed_at=instant(message.destroyed_at) if message.HasField("destroyed_at") else None,
        renewals=message.renewals,
    )
