"""KeysService: listing, rotating, exporting and destroying keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import grpc
from google.protobuf.duration_pb2 import Duration

from privacyplease.proxy import clock
from privacyplease.proxy.edge import requests
from privacyplease.proxy.edge.rpc import answering, streaming
from privacyplease.proxy.edge.timestamps import timestamp
from privacyplease.proxy.errors import InvalidRequestError
from privacyplease.proxy.export.exporter import KeyringExporter
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
    """Lists, rotates, exports and destroys keys."""

    def __init__(
        self,
        datasets: Mapping[str, Dataset],
        keyring: Keyring,
        erasures: ErasureLog,
        erasing: EpochEraser,
        rotation: Rotation,
        exporter: KeyringExporter,
        renewing: KeyRenewal,
    ) -> None:
        """Initialises the service.

        Args:
            datasets: The data sets by name.
            keyring: Their keys.
            erasures: The erased epochs.
            erasing: Erases epochs.
            rotation: Rotates the master key.
            exporter: Exports keyrings.
            renewing: Renews the key of an epoch.
        """
        self._datasets = dict(datasets)
        self._keyring = keyring
        self._erasures = erasures
        self._erasing = erasing
        self._rotation = rotation
        self._exporter = exporter
        self._renewing = renewing

    @answering
    def ListKeys(  # noqa: N802
        self, request: pb.ListKeysRequest, _context: grpc.ServicerContext
    ) -> pb.ListKeysResponse:
        """Lists the epochs of each data set, and the state of their keys."""
        names = [requests.dataset(request.dataset, self._datasets).name] if request.dataset else sorted(self._datasets)
        listed = [self._list(self._datasets[name]) for name in names]
        return pb.ListKeysResponse(master_key=self._rotation.choice, datasets=listed)

    @answering
    def DestroyEpochs(  # noqa: N802
        self, request: pb.DestroyEpochsRequest, _context: grpc.ServicerContext
    ) -> pb.DestroyEpochsResponse:
        """Erases ended epochs by destroying their keys; a dry run only lists them."""
        dataset = requests.dataset(request.dataset, self._datasets)
        epochs = self._chosen(request, dataset)
        cells = 0 if request.dry_run else self._erasing.erase(dataset, epochs)
        destroyed = [epoch for epoch in self._list(dataset).epochs if _number(epoch, dataset) in epochs]
        return pb.DestroyEpochsResponse(epochs=destroyed, cells=cells)

    @answering
    def RotateMaster(  # noqa: N802
        self, request: pb.RotateMasterRequest, _context: grpc.ServicerContext
    ) -> pb.RotateMasterResponse:
        """Wraps every data key under a new master key and puts that in force."""
        name = requests.short(request.master_key, "master_key") or PASSPHRASE
        passphrase = requests.short(request.passphrase, "passphrase")
        if passphrase and name != PASSPHRASE:
            message = "expected no passphrase: the master key is held by an HSM, a vault or a KMS"
            raise InvalidRequestError(message, field="passphrase")
        keys = self._rotation.rotate(name, passphrase or None)
        return pb.RotateMasterResponse(master_key=self._rotation.choice, keys=keys)

    @answering
    def RotateEpoch(  # noqa: N802
        self, request: pb.RotateEpochRequest, _context: grpc.ServicerContext
    ) -> pb.RotateEpochResponse:
        """Seals the records of an epoch again under a new key, and destroys the old one."""
        dataset = requests.dataset(request.dataset, self._datasets)
        epoch = requests.instant(request.containing, "containing") // dataset.epoch
        records = self._renewing.renew(dataset, epoch)
        (renewed,) = (listed for listed in self._list(dataset).epochs if _number(listed, dataset) == epoch)
        return pb.RotateEpochResponse(epoch=renewed, records=records)

    @streaming
    def ExportKeyring(  # noqa: N802
        self, request: pb.ExportKeyringRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.ExportKeyringResponse]:
        """Streams a keyring file that can only count people in the interval."""
        dataset = requests.dataset(request.dataset or requests.DEFAULT_DATASET, self._datasets)
        if not requests.short(request.passphrase, "passphrase"):
            raise InvalidRequestError("expected a passphrase for the exported keyring", field="passphrase")
        interval = requests.interval(request.interval)
        file, epochs = self._exporter.export(dataset, interval, request.passphrase)
        opened = [epoch for epoch in self._list(dataset).epochs if _number(epoch, dataset) in epochs]
        for begin in range(0, len(file), PART_BYTES):
            part = file[begin : begin + PART_BYTES]
            yield pb.ExportKeyringResponse(keyring=part, epochs=() if begin else opened)

    def _chosen(self, request: pb.DestroyEpochsRequest, dataset: Dataset) -> list[int]:
        now = int(clock.earliest() * 1_000)
        which = request.WhichOneof("which")
        if which is None:
            raise InvalidRequestError("expected before or containing, got neither", field="which")
        at = requests.instant(getattr(request, which), which)
        if which == "before":
            return self._erasing.ended(dataset, min(at, now))
        epoch = at // dataset.epoch
        if (epoch + 1) * dataset.epoch > now:
            raise InvalidRequestError("expected a period that has ended", field=which)
        return [ended for ended in self._erasing.ended(dataset, now) if ended == epoch]

    def _list(self, dataset: Dataset) -> pb.DatasetKeys:
        width = dataset.epoch
        keys = sorted(self._keyring.made(dataset.name).items())  # of several keys of an epoch, the newest is listed
        newest = {key.epoch: (key.generation, made_at) for key, made_at in keys}
        erased = {erasure.key.epoch: erasure for erasure in self._erasures.of(dataset.name)}
        listed = []
        for epoch in sorted({*newest, *erased}):
            entry = pb.Epoch(start=timestamp(epoch * width), end=timestamp((epoch + 1) * width))
            entry.state = pb.EPOCH_STATE_BEING_DESTROYED if epoch in erased else pb.EPOCH_STATE_IN_USE
            entry.renewals, made_at = newest.get(epoch, (0, None))
            if made_at:
                entry.made_at.CopyFrom(timestamp(made_at))
            if epoch in erased and (erased_at := erased[epoch].erased_at):
                entry.state = pb.EPOCH_STATE_DESTROYED
                entry.destroyed_at.CopyFrom(timestamp(erased_at))
            listed.append(entry)
        retain = None if dataset.retain is None else Duration(seconds=dataset.retain // 1_000)
        return pb.DatasetKeys(dataset=dataset.name, retain=retain, epochs=listed)


def _number(epoch: pb.Epoch, dataset: Dataset) -> int:
    return epoch.start.ToMilliseconds() // dataset.epoch
