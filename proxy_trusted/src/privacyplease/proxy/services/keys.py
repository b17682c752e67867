"""KeysService: the life of keys, for whoever answers for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.export.exporting import Exporting
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.providers import PASSPHRASE
from privacyplease.proxy.keys.rotation import Rotation
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.key_renewal import KeyRenewal
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.v1 import keys_service_pb2 as pb
from privacyplease.proxy.v1 import keys_service_pb2_grpc as pb_grpc

PART_BYTES = 1024 * 1024


class KeysService(pb_grpc.KeysServiceServicer):
    """Lists, rotates, exports and destroys."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        erasures: ErasureLog,
        erasing: EpochEraser,
        rotation: Rotation,
        exporting: Exporting,
        renewing: KeyRenewal,
    ) -> None:
        """Takes the parts.

        Args:
            datasets: The data sets.
            keyring: Their keys.
            erasures: What is erased.
            erasing: What erases.
            rotation: What rotates the master key.
            exporting: What exports.
            renewing: What renews the key of an epoch.
        """
        self._datasets = dict(datasets)
        self._keyring = keyring
        self._erasures = erasures
        self._erasing = erasing
        self._rotation = rotation
        self._exporting = exporting
        self._renewing = renewing

    @answering
    def ListKeys(  # noqa: N802
        self, request: pb.ListKeysRequest, _context: grpc.ServicerContext
    ) -> pb.ListKeysResponse:
        """See the contract."""
        names = [requests.dataset(request.dataset, self._datasets).name] if request.dataset else sorted(self._datasets)
        listed = [self._list(self._datasets[name]) for name in names]
        return pb.ListKeysResponse(master_key=self._rotation.choice, datasets=listed)

    @answering
    def DestroyEpochs(  # noqa: N802
        self, request: pb.DestroyEpochsRequest, _context: grpc.ServicerContext
    ) -> pb.DestroyEpochsResponse:
        """See the contract."""
        dataset = requests.dataset(request.dataset, self._datasets)
        epochs = self._chosen(request, dataset)
        cells = 0 if request.dry_run else self._erasing.erase(dataset, epochs)
        found = [epoch for epoch in self._list(dataset).epochs if _number(epoch, dataset) in epochs]
        return pb.DestroyEpochsResponse(epochs=found, cells=cells)

    @answering
    def RotateMaster(  # noqa: N802
        self, request: pb.RotateMasterRequest, _context: grpc.ServicerContext
    ) -> pb.RotateMasterResponse:
        """See the contract."""
        choice = requests.short(request.master_key, "master_key") or PASSPHRASE
        passphrase = requests.short(request.passphrase, "passphrase")
        if passphrase and choice != PASSPHRASE:
            raise InvalidRequestError("expected no passphrase for a master key of another kind", field="passphrase")
        keys = self._rotation.rotate(choice, passphrase or None)
        return pb.RotateMasterResponse(master_key=self._rotation.choice, keys=keys)

    @answering
    def RotateEpoch(  # noqa: N802
        self, request: pb.RotateEpochRequest, _context: grpc.ServicerContext
    ) -> pb.RotateEpochResponse:
        """See the contract."""
        dataset = requests.dataset(request.dataset, self._datasets)
        epoch = requests.instant(request.containing, "containing") // dataset.epoch
        records = self._renewing.renew(dataset, epoch)
        (renewed,) = (listed for listed in self._list(dataset).epochs if _number(listed, dataset) == epoch)
        return pb.RotateEpochResponse(epoch=renewed, records=records)

    @streaming
    def ExportKeyring(  # noqa: N802
        self, request: pb.ExportKeyringRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ExportKeyringResponse]:
        """See the contract."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        if not requests.short(request.passphrase, "passphrase"):
            raise InvalidRequestError("expected a passphrase for the exported keyring", field="passphrase")
        interval = requests.interval(request.interval)
        file, epochs = self._exporting.export(dataset, interval, request.passphrase)
        opened = [epoch for epoch in self._list(dataset).epochs if _number(epoch, dataset) in epochs]
        for begin in range(0, len(file), PART_BYTES):
            part = file[begin : begin + PART_BYTES]
            yield pb.ExportKeyringResponse(keyring=part, epochs=() if begin else opened)

    def _chosen(self, request: pb.DestroyEpochsRequest, dataset: Dataset) -> list[int]:
        now = int(time.time() * 1_000)
        which = request.WhichOneof("which")
        if which is None:
            raise InvalidRequestError("expected before or containing, got neither", field="which")
        at = requests.instant(getattr(request, which), which)
        if which == "before":
            return self._erasing.ended(dataset, min(at, now))
        epoch = at // dataset.epoch
        if (epoch + 1) * dataset.epoch > now:
            raise InvalidRequestError("expected a period that has ended", field=which)
        return [known for known in self._erasing.ended(dataset, now) if known == epoch]

    def _list(self, dataset: Dataset) -> pb.DatasetKeys:
        width = dataset.epoch
        keys = sorted(self._keyring.made(dataset.name).items())  # of several keys of an epoch, the newest stays
        made = {key.epoch: (key.generation, at) for key, at in keys}
        erased = {erasure.key.epoch: erasure for erasure in self._erasures.of(dataset.name)}
        listed = []
        for epoch in sorted({*made, *erased}):
            entry = pb.Epoch(start=_stamp(epoch * width), end=_stamp((epoch + 1) * width))
            entry.state = pb.EPOCH_STATE_BEING_DESTROYED if epoch in erased else pb.EPOCH_STATE_IN_USE
            entry.renewals, at = made.get(epoch, (0, None))
            if at:
                entry.made_at.CopyFrom(_stamp(at))
            if epoch in erased and (gone := erased[epoch].erased_at):
                entry.state = pb.EPOCH_STATE_DESTROYED
                entry.destroyed_at.CopyFrom(_stamp(gone))
            listed.append(entry)
        retain = None if dataset.retain is None else Duration(seconds=dataset.retain // 1_000)
        return pb.DatasetKeys(dataset=dataset.name, retain=retain, epochs=listed)


def _number(epoch: pb.Epoch, dataset: Dataset) -> int:
    return epoch.start.ToMilliseconds() // dataset.epoch


def _stamp(millis: int) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMilliseconds(millis)
    return stamp
