"""The proxy's report on itself and the storage server, as a `Status`."""

from datetime import UTC

from privacyplease.client._internal.contract import reads_answers
from privacyplease.client._internal.times import instant
from privacyplease.client.catalogue import (
    Activity,
    Answers,
    Cache,
    Compaction,
    Disk,
    Erasure,
    Ingestion,
    Keyring,
    Manifest,
    Policy,
    RecentCalls,
    Status,
    Storage,
)
from privacyplease.proxy.v1 import admin_service_pb2 as pb
from privacyplease.proxy.v1.error_reason_pb2 import ErrorReason


@reads_answers
def status(response: pb.GetStatusResponse) -> Status:
    """The status of the whole system."""
    storage = response.storage
    return Status(
        version=response.version,
        keyrings=tuple(Keyring(k.dataset, tuple(k.epochs), k.epoch_days) for k in response.keyrings),
        storage=Storage(storage.reachable, storage.store, storage.cells, storage.bytes),
        policy=Policy(
            instant(response.policy.loaded_at),
            response.policy.problem,
            response.policy.approvals,
            response.policy.approvals_waiting,
        ),
        answers=Answers(response.answers.whole, {_reason(group): group.answers for group in response.answers.refused}),
        activity=_activity(response.activity),
        compaction=_compaction(response.compaction),
        cache=Cache(response.cache.hits, response.cache.misses, response.cache.bytes),
        manifest=_manifest(response.manifest),
        disk=Disk(response.disk.free_bytes, response.disk.low, response.disk.full),
        erasures=tuple(_erasure(erasure) for erasure in response.erasures),
    )


def _erasure(message: pb.Erasure) -> Erasure:
    start = message.start.ToDatetime(UTC) if message.HasField("start") else None
    return Erasure(message.dataset, start, message.waits_for)


def _compaction(message: pb.Compaction) -> Compaction:
    last = message.last_round.ToDatetime(UTC) if message.HasField("last_round") else None
    return Compaction(message.fresh_segments, message.fresh_records, last, message.failure)


def _manifest(message: pb.Manifest) -> Manifest:
    return Manifest(
        version=message.version,
        live_segments=message.live_segments,
        retired_segments=message.retired_segments,
        unsettled_segments=message.unsettled_segments,
        outgrown_cells=message.outgrown_cells,
        witnesses=message.witnesses,
        witness_failures=message.witness_failures,
    )


def _activity(message: pb.Activity) -> Activity:
    ingestion = message.ingestion
    return Activity(
        started_at=message.started_at.ToDatetime(UTC),
        calls=tuple(
            RecentCalls(
                method=recent.method,
                calls=recent.calls,
                failed=recent.failed,
                per_second=recent.per_second,
                median=recent.median.ToTimedelta(),
                percentile_95=recent.percentile_95.ToTimedelta(),
                mean_cells=recent.mean_cells,
                mean_bytes=recent.mean_bytes,
            )
            for recent in message.calls
        ),
        ingestion=Ingestion(
            batches=ingestion.batches,
            accepted=ingestion.accepted,
            rejected=ingestion.rejected,
            accepted_per_second=ingestion.accepted_per_second,
            newest_record={newest.dataset: newest.newest_record.ToDatetime(UTC) for newest in ingestion.freshness},
        ),
    )


def _reason(refusals: pb.Refusals) -> str:
    """The reason's name; its number if it is newer than this SDK."""
    name = ErrorReason.Name(refusals.reason) if refusals.reason in ErrorReason.values() else str(refusals.reason)
    return name.removeprefix("ERROR_REASON_")
