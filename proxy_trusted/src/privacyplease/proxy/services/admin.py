"""AdminService: how the system is doing."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from privacyplease.proxy.access.policy_file import PolicyFile
from privacyplease.proxy.compactor import Compactor
from privacyplease.proxy.edge.rpc import answering
from privacyplease.proxy.errors import StorageError
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.ledger import Ledger
from privacyplease.proxy.opened_cells import OpenedCells
from privacyplease.proxy.records.dataset import Dataset
from privacyplease.proxy.storage.client import Storage
from privacyplease.proxy.telemetry.activity import Activity, RecentCalls
from privacyplease.proxy.v1 import admin_service_pb2 as pb
from privacyplease.proxy.v1 import admin_service_pb2_grpc as pb_grpc
from privacyplease.proxy.verified import Answers

_DAY_MILLIS = 86_400_000

# Describing the store takes milliseconds. Whoever asks how the system is doing need not wait for retries.
_PATIENCE_SECONDS = 1.0


class AdminService(pb_grpc.AdminServiceServicer):
    """Describes keyring, storage, what became of its answers, policy, and what the proxy has been doing."""

    def __init__(
        self,
        datasets: dict[str, Dataset],
        keyring: Keyring,
        storage: Storage,
        answers: Answers,
        policies: PolicyFile,
        ledger: Ledger,
        activity: Activity,
        compactor: Compactor,
        cache: OpenedCells,
    ) -> None:
        self._datasets = datasets
        self._keyring = keyring
        self._storage = storage
        self._answers = answers
        self._policies = policies
        self._ledger = ledger
        self._activity = activity
        self._compactor = compactor
        self._cache = cache

    @answering
    def GetStatus(  # noqa: N802
        self, _request: pb.GetStatusRequest, _context: grpc.ServicerContext
    ) -> pb.GetStatusResponse:
        """See the contract."""
        keyrings = [self._describe_keys(self._datasets[name]) for name in sorted(self._datasets)]
        return pb.GetStatusResponse(
            version=version("privacyplease-proxy"),
            keyrings=keyrings,
            storage=self._describe_storage(),
            policy=self._describe_policy(),
            answers=self._describe_answers(),
            activity=self._describe_activity(),
            compaction=self._describe_compaction(),
            cache=pb.Cache(**self._cache.figures._asdict()),
        )

    def _describe_keys(self, dataset: Dataset) -> pb.Keyring:
        days = dataset.timeline.epoch // _DAY_MILLIS
        return pb.Keyring(dataset=dataset.name, epochs=self._keyring.epochs(dataset.name), epoch_days=days)

    def _describe_compaction(self) -> pb.Compaction:
        last, backlog = self._compactor.last, self._compactor.backlog()
        described = pb.Compaction(
            open_buckets=sum(buckets for buckets, _ in backlog.values()),
            open_cells=sum(cells for _, cells in backlog.values()),
            failure=last.failure,
        )
        if last.at is not None:
            described.last_round.FromMilliseconds(int(last.at * 1_000))
        return described

    def _describe_storage(self) -> pb.Storage:
        try:
            described = self._storage.describe(_PATIENCE_SECONDS)
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
        loaded_at = _instant(int(self._policies.loaded_at * 1_000))
        return pb.Policy(loaded_at=loaded_at, problem=self._policies.problem)

    def _describe_activity(self) -> pb.Activity:
        return pb.Activity(
            started_at=_instant(int(self._activity.started_at * 1_000)),
            calls=[_recent(calls) for calls in self._activity.calls()],
            ingestion=pb.Ingestion(**self._activity.ingestion()._asdict(), freshness=self._describe_freshness()),
            journal_entries=self._ledger.waiting(),
        )

    def _describe_freshness(self) -> list[pb.Freshness]:
        newest = self._activity.newest().items()
        return [pb.Freshness(dataset=dataset, newest_record=_instant(unix_ms)) for dataset, unix_ms in newest]


def _instant(unix_ms: int) -> Timestamp:
    found = Timestamp()
    found.FromMilliseconds(unix_ms)
    return found


def _recent(calls: RecentCalls) -> pb.RecentCalls:
    durations = {"median": calls.median, "percentile_95": calls.percentile_95}
    spans = {name: timedelta(seconds=seconds) for name, seconds in durations.items()}
    return pb.RecentCalls(**(calls._asdict() | spans))
