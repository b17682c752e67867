"""AdminService: how the system is doing."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version

import grpc

from privacyplease.proxy.access.approvals import Approvals
from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.compaction.background import BackgroundCompaction
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.edge.timestamps import timestamp
from privacyplease.proxy.errors import StorageError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import Erasure, Obstacle
from privacyplease.proxy.manifest.cells import AnswerCounts
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.rows import SegmentState
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.telemetry.activity import Activity, RecentCalls
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve
from privacyplease.proxy.v1 import admin_service_pb2 as pb
from privacyplease.proxy.v1 import admin_service_pb2_grpc as pb_grpc

_DAY_MILLIS = 86_400_000

# Describing the store takes milliseconds, and a status request need not wait for retries.
_STORAGE_TIMEOUT_SECONDS = 1.0


class AdminService(pb_grpc.AdminServiceServicer):
    """Describes keyring, manifest, storage and its answers, policy, memory, disk, compaction and recent activity."""

    def __init__(
        self,
        datasets: dict[str, Dataset],
        keyring: Keyring,
        storage: StorageClient,
        answers: AnswerCounts,
        policies: PolicyFile,
        approvals: Approvals,
        manifest: Manifest,
        activity: Activity,
        compactor: BackgroundCompaction,
        memory: CellCache,
        reserve: DiskReserve,
        eraser: EpochEraser,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._storage = storage
        self._answers = answers
        self._policies = policies
        self._approvals = approvals
        self._manifest = manifest
        self._activity = activity
        self._compactor = compactor
        self._memory = memory
        self._reserve = reserve
        self._eraser = eraser

    @answering
    def GetStatus(  # noqa: N802
        self, _request: pb.GetStatusRequest, _context: grpc.ServicerContext
    ) -> pb.GetStatusResponse:
        """Describes the system; answers even if the storage server is unavailable, and says so."""
        keyrings = [self._describe_keys(self._datasets[name]) for name in sorted(self._datasets)]
        return pb.GetStatusResponse(
            version=version("privacyplease-proxy"),
            keyrings=keyrings,
            storage=self._describe_storage(),
            policy=self._describe_policy(),
            answers=self._describe_answers(),
            activity=self._describe_activity(),
            compaction=self._describe_compaction(),
            cache=pb.Cache(**self._memory.figures._asdict()),
            manifest=self._describe_manifest(),
            disk=pb.Disk(free_bytes=self._reserve.free_bytes(), low=self._reserve.low, full=self._reserve.full),
            erasures=[self._describe_erasure(*waiting) for waiting in self._eraser.waiting],
        )

    def _describe_keys(self, dataset: Dataset) -> pb.Keyring:
        days = dataset.epoch // _DAY_MILLIS
        return pb.Keyring(dataset=dataset.name, epochs=self._keyring.epochs(dataset.name), epoch_days=days)

    def _describe_compaction(self) -> pb.Compaction:
        last, backlog = self._compactor.last, self._compactor.backlog()
        described = pb.Compaction(
            fresh_segments=sum(waiting.segments for waiting in backlog.values()),
            fresh_records=sum(waiting.records for waiting in backlog.values()),
            failure=last.failure,
        )
        if last.at is not None:
            described.last_round.FromMilliseconds(int(last.at * 1_000))
        return described

    def _describe_manifest(self) -> pb.Manifest:
        size, witnesses = self._manifest.size(), self._manifest.witnesses
        return pb.Manifest(
            version=self._manifest.head().version,
            live_segments=size[SegmentState.LIVE],
            retired_segments=size[SegmentState.RETIRED],
            unsettled_segments=size[SegmentState.SENT] + size[SegmentState.STORED],
            outgrown_cells=self._manifest.outgrown,
            witnesses=len(witnesses),
            witness_failures=witnesses.failures,
        )

    def _describe_erasure(self, erasure: Erasure, obstacle: Obstacle) -> pb.Erasure:
        described = pb.Erasure(dataset=erasure.dataset, waits_for=obstacle.detail)
        if dataset := self._datasets.get(erasure.dataset):
            described.start.CopyFrom(timestamp(erasure.key.epoch * dataset.epoch))
        return described

    def _describe_storage(self) -> pb.Storage:
        try:
            described = self._storage.describe(_STORAGE_TIMEOUT_SECONDS)
        except StorageError:
            return pb.Storage(reachable=False)
        return pb.Storage(reachable=True, store=described.store, cells=described.cells, bytes=described.bytes)

    def _describe_answers(self) -> pb.Answers:
        refused = sorted(self._answers.refused.items())
        return pb.Answers(
            whole=self._answers.whole,
            refused=[pb.Refusals(reason=reason, answers=answers) for reason, answers in refused],
        )

    def _describe_policy(self) -> pb.Policy:
        loaded_at = timestamp(int(self._policies.loaded_at * 1_000))
        return pb.Policy(
            loaded_at=loaded_at,
            problem=self._policies.problem,
            approvals=self._policies.current().approvals,
            approvals_waiting=self._approvals.waiting(),
        )

    def _describe_activity(self) -> pb.Activity:
        return pb.Activity(
            started_at=timestamp(int(self._activity.started_at * 1_000)),
            calls=[_recent(calls) for calls in self._activity.calls()],
            ingestion=pb.Ingestion(**self._activity.ingestion()._asdict(), freshness=self._describe_freshness()),
        )

    def _describe_freshness(self) -> list[pb.Freshness]:
        newest = {dataset: self._manifest.view(dataset).reach for dataset in sorted(self._datasets)}
        return [
            pb.Freshness(dataset=dataset, newest_record=timestamp(unix_ms))
            for dataset, unix_ms in newest.items()
            if unix_ms is not None
        ]


def _recent(calls: RecentCalls) -> pb.RecentCalls:
    durations = {"median": calls.median, "percentile_95": calls.percentile_95}
    spans = {name: timedelta(seconds=seconds) for name, seconds in durations.items()}
    return pb.RecentCalls(**(calls._asdict() | spans))
