"""Metrics that are computed from the proxy's components each time they are scraped."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy import Engine

from privacyplease.proxy.access.approvals import Approvals
from privacyplease.proxy.backup import registry
from privacyplease.proxy.errors import UntrustedAnswerError
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_log import Cause
from privacyplease.proxy.manifest.cells import AnswerCounts
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve
from privacyplease.proxy.v1 import error_reason_pb2 as reasons


def answer_metrics(answers: AnswerCounts) -> Iterable[Metric]:
    """How many of the storage server's answers passed verification, and how many were refused."""
    yield CounterMetricFamily(
        "privacyplease_proxy_verified_answers", "Storage server answers that were intact.", value=answers.whole
    )
    failures = CounterMetricFamily(
        "privacyplease_proxy_verification_failures", "Storage server answers that were refused.", labels=["reason"]
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
        "privacyplease_proxy_witness_failures", "Times a witness was unavailable.", value=manifest.witnesses.failures
    )


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
        "privacyplease_proxy_cache_bytes", "Stored size of the cells in memory.", value=figures.bytes
    )


def disk_metrics(reserve: DiskReserve) -> Iterable[Metric]:
    """The room on the disk of the home, and whether it is full."""
    yield GaugeMetricFamily(
        "privacyplease_proxy_home_free_bytes", "Free on the disk of the proxy's home.", value=reserve.free_bytes()
    )
    yield GaugeMetricFamily(
        "privacyplease_proxy_home_full", "1 if the disk of the proxy's home is full.", value=reserve.full
    )
