"""Metrics that are computed from the proxy's components each time they are scraped."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Engine

from privacyplease.proxy.access.approvals import Approvals
from privacyplease.proxy.backup import registry
from privacyplease.proxy.compaction.compactor import Backlog
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import Cause
from privacyplease.proxy.manifest.cells import AnswerCounts
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve
from privacyplease.proxy.v1 import error_reason_pb2 as reasons
from privacyplease.transport import credentials
from privacyplease.transport.certificate_expiry import days_left


def answer_metrics(answers: AnswerCounts) -> Iterable[Metric]:
    """How many of the storage server's answers passed verification, and how many were refused."""
    yield CounterMetricFamily(
        "privacyplease_proxy_verified_answers", "Intact answers of the storage server.", value=answers.whole
    )
    failures = CounterMetricFamily(
        "privacyplease_proxy_verification_failures", "Refused answers of the storage server.", labels=["reason"]
    )
    refused = answers.refused
    for error in UntrustedAnswerError.__subclasses__():
        failures.add_metric([reasons.ErrorReason.Name(error.reason)], refused[error.reason])
    yield failures


def manifest_metrics(manifest: Manifest) -> Iterable[Metric]:
    """The number of segments by state, of outgrown cells, and of witness failures."""
    segments = GaugeMetricFamily("privacyplease_proxy_segments", "Segments in the manifest.", labels=["state"])
    for state, number in manifest.size().items():
        segments.add_metric([state.name.lower()], number)
    yield segments
    yield GaugeMetricFamily(
        "privacyplease_proxy_outgrown_cells",
        "Cells larger than the size class of their number of records.",
        value=manifest.outgrown,
    )
    yield CounterMetricFamily(
        "privacyplease_proxy_witness_failures", "Failures to reach a witness.", value=manifest.witnesses.failures
    )


def record_metrics(manifest: Manifest, datasets: Sequence[str]) -> Iterable[Metric]:
    """How new the newest record of each data set is, by its place among their names: labels hold no name."""
    newest = GaugeMetricFamily(
        "privacyplease_proxy_newest_record_timestamp_seconds",
        "End of the newest record, in seconds since 1970.",
        labels=["dataset"],
    )
    for number, dataset in enumerate(sorted(datasets), 1):
        reach = manifest.view(dataset).reach
        if reach is not None:
            newest.add_metric([str(number)], reach / 1_000)
    yield newest


def compaction_metrics(backlog: Mapping[str, Backlog]) -> Iterable[Metric]:
    """How much is still to be compacted."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_compaction_backlog_segments",
        "Fresh segments that wait for compaction.",
        value=sum(waiting.segments for waiting in backlog.values()),
    )


def certificate_metrics(clients: Path | None, storage: Path | None) -> Iterable[Metric]:
    """How long the certificates are still valid: those shown to clients, and those used with the storage server.

    Args:
        clients: The folder of the former; None for plaintext, which has NaN days left.
        storage: The folder of the latter, likewise.
    """
    left = GaugeMetricFamily(
        "privacyplease_proxy_certificate_days_left",
        "Days until a certificate expires; 0 if its file cannot be read, NaN in plaintext.",
        labels=["hop", "certificate"],
    )
    now = time.time()
    for hop, folder in (("clients", clients), ("storage", storage)):
        for certificate, file in (("own", credentials.CERTIFICATE), ("authority", credentials.AUTHORITY)):
            left.add_metric([hop, certificate], days_left(folder / file, now) if folder else math.nan)
    yield left


def approval_metrics(approvals: Approvals) -> Iterable[Metric]:
    """How many approvals wait for a decision."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_approvals_waiting", "Approvals that wait for a decision.", value=approvals.waiting()
    )


def erasure_metrics(eraser: EpochEraser) -> Iterable[Metric]:
    """How many keys are about to be destroyed."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_erasures_unfinished", "Keys that are about to be destroyed.", value=eraser.unfinished
    )
    waiting = GaugeMetricFamily(
        "privacyplease_proxy_erasures_waiting", "Keys that are about to be destroyed, by obstacle.", labels=["cause"]
    )
    causes = [obstacle.cause for _, obstacle in eraser.waiting]
    for cause in Cause:
        waiting.add_metric([cause.value], causes.count(cause))
    yield waiting


def backup_metrics(store: Engine) -> Iterable[Metric]:
    """The number of data keys that no backup holds."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_keys_without_backup",
        "Data keys that no backup holds.",
        value=registry.keys_without_backup(store),
    )


def memory_metrics(memory: CellCache) -> Iterable[Metric]:
    """Hits and misses of the cells in memory, and their size."""
    figures = memory.figures
    cells = CounterMetricFamily("privacyplease_proxy_cache_cells", "Cells that questions needed.", labels=["outcome"])
    cells.add_metric(["hit"], figures.hits)
    cells.add_metric(["miss"], figures.misses)
    yield cells
    yield GaugeMetricFamily(
        "privacyplease_proxy_cache_bytes", "Stored size of the cells in memory, in bytes.", value=figures.bytes
    )


def disk_metrics(reserve: DiskReserve) -> Iterable[Metric]:
    """The room on the disk of the home, and whether it is full."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_home_free_bytes",
        "Free on the disk of the proxy's home, in bytes.",
        value=reserve.free_bytes(),
    )
    yield GaugeMetricFamily(
        "privacyplease_proxy_home_full", "1 if the disk of the proxy's home is full.", value=reserve.full
    )
