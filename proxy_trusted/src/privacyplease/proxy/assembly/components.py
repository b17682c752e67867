"""The components of a proxy, each made once, from the trusted store up to the services."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import grpc

from privacyplease.proxy.access.approvals import LABEL, Approvals
from privacyplease.proxy.access.guard import AccessGuard
from privacyplease.proxy.access.recorder import AuditRecorder
from privacyplease.proxy.assembly import collectors
from privacyplease.proxy.assembly.contracts import INGEST
from privacyplease.proxy.assembly.process import ProcessContext
from privacyplease.proxy.assembly.trusted_state import TrustedState
from privacyplease.proxy.audit.reader import KEY, OWNER
from privacyplease.proxy.backup import registry
from privacyplease.proxy.compaction.background import BackgroundCompaction
from privacyplease.proxy.compaction.compactor import Compactor
from privacyplease.proxy.edge.fence import Fence
from privacyplease.proxy.errors import RolledBackError, StorageError
from privacyplease.proxy.export.exporter import KeyringExporter
from privacyplease.proxy.keys.dead_letters import DeadLetters
from privacyplease.proxy.keys.rotation import Rotation
from privacyplease.proxy.lifecycle.eraser import EpochEraser
from privacyplease.proxy.lifecycle.erasure_follower import ErasureFollower
from privacyplease.proxy.lifecycle.erasure_log import ErasureLog
from privacyplease.proxy.lifecycle.flush_recovery import FlushRecovery
from privacyplease.proxy.lifecycle.key_renewal import KeyRenewal
from privacyplease.proxy.lifecycle.peers import Peers
from privacyplease.proxy.lifecycle.restore import Restore, finish_restore
from privacyplease.proxy.lifecycle.restore_approval import RestoreApproval
from privacyplease.proxy.lifecycle.retention import Retention
from privacyplease.proxy.lifecycle.segment_deletion import SegmentDeleter
from privacyplease.proxy.lifecycle.verification import Verifier
from privacyplease.proxy.manifest.cells import Cells
from privacyplease.proxy.manifest.destroyed_keys import DestroyedKeys
from privacyplease.proxy.manifest.rollback import RollbackCheck
from privacyplease.proxy.query.search import Search
from privacyplease.proxy.records.shapes import Shapes
from privacyplease.proxy.segments.cell_cache import CellCache
from privacyplease.proxy.services.access import AccessService
from privacyplease.proxy.services.admin import AdminService
from privacyplease.proxy.services.approvals import ApprovalService
from privacyplease.proxy.services.audit import AuditService
from privacyplease.proxy.services.compaction import CompactionService
from privacyplease.proxy.services.dead_letters import DeadLetterService
from privacyplease.proxy.services.explain import ExplainService
from privacyplease.proxy.services.ingest import IngestService, StreamLimits
from privacyplease.proxy.services.keys import KeysService
from privacyplease.proxy.services.occupancy import OccupancyService
from privacyplease.proxy.services.presence import PresenceService
from privacyplease.proxy.services.query import QueryService
from privacyplease.proxy.services.stations import StationsService
from privacyplease.proxy.services.verification import VerificationService
from privacyplease.proxy.storage.client import StorageClient
from privacyplease.proxy.v1 import (
    access_service_pb2_grpc,
    admin_service_pb2_grpc,
    approval_service_pb2_grpc,
    audit_service_pb2_grpc,
    compaction_service_pb2_grpc,
    dead_letter_service_pb2_grpc,
    explain_service_pb2_grpc,
    ingest_service_pb2_grpc,
    keys_service_pb2_grpc,
    occupancy_service_pb2_grpc,
    presence_service_pb2_grpc,
    query_service_pb2_grpc,
    stations_service_pb2_grpc,
    verification_service_pb2_grpc,
)
from privacyplease.proxy.write.writer import Writer


class Components:
    """Every component of a proxy with full keys.

    Attributes:
        recorder: Records calls in the audit log.
        guard: Holds calls to the policy.
        waiting: The restore that waits for an approval; None if none does.
        fence: Closed while the proxy has no lease on a shared trusted store; None if the store is not shared.
    """

    def __init__(self, process: ProcessContext) -> None:
        """Creates the components and connects them.

        Raises:
            ConfigurationError: A file of the home is wrong; or the home was restored from a backup, and what was
                written after it is unavailable.
            KeyringError: The master key does not open.
            RolledBackError: The trusted store is older than the newest head that the storage server or a witness holds.
        """
        settings, datasets = process.settings, process.datasets
        self._process = process
        self._trusted = trusted = TrustedState(settings)
        self.recorder = AuditRecorder(trusted.log)
        self.guard = AccessGuard(process.access, self.recorder)
        store, keyring, manifest = trusted.store, trusted.keyring, trusted.manifest
        self._approvals = process.access.approvals = Approvals(store, keyring.derived(OWNER, KEY, LABEL))
        trusted.hold_policy(process, self._approvals)
        self._shapes = Shapes(store)
        self._shapes.check(datasets)
        self._storage = storage = StorageClient.connect(
            settings.storage, settings.storage_certificates, process.metrics
        )
        self._cells = cells = Cells(storage, keyring)
        self._currency = currency = RollbackCheck(manifest, storage)
        self._memory = memory = CellCache(settings.cache_bytes)
        self.waiting = self._restored(Restore(datasets, store, keyring, manifest, storage, currency))
        if not self.waiting:
            _refuse_rolled_back(currency)
        self._search = search = Search(manifest, cells, keyring, memory, currency, settings.most_tags)
        self._writer = writer = Writer(
            manifest,
            keyring,
            storage,
            memory,
            currency,
            settings.flush_seconds,
            is_full=lambda: trusted.unshared and trusted.reserve.full,
        )
        self._compaction = compaction = Compactor(
            store,
            manifest,
            keyring,
            storage,
            cells,
            memory,
            lambda: registry.needed_after(store),
            require_newest=currency.require_newest,
        )
        self._compactor = BackgroundCompaction(datasets, compaction)
        self._erasures = ErasureLog(store, trusted.epoch_keys, shared=not trusted.unshared)
        disposal = SegmentDeleter(manifest, cells, storage)
        readers = [search.questions, compaction.jobs]
        destroyed = DestroyedKeys(manifest, storage, keyring)
        peers = None if trusted.unshared else Peers(store)
        self._erasing = EpochEraser(
            keyring, manifest, currency, disposal, self._erasures, destroyed, writer.drain, readers, memory, peers
        )
        self.fence = Fence() if peers else None
        self._follower = (
            ErasureFollower(peers, self.fence, self._erasures, self._erasing) if peers and self.fence else None
        )
        self._renewing = KeyRenewal(datasets, keyring, manifest, currency, self._erasing, compaction.rewrite)
        settling = FlushRecovery(datasets, manifest, cells, storage, disposal, currency)
        self._retention = Retention(datasets, self._erasing, [settling.finish, self._renewing.finish])
        self._watch()

    def start(self, serve: Callable[[], None]) -> None:
        """Starts the background tasks.

        Args:
            serve: Begins to answer every call: at once, or when the restore that waits is finished.
        """

        def begin() -> None:
            self._begin()
            serve()

        if self._follower:
            self._follower.start()
        self._trusted.log.start()
        self.recorder.start()
        if self.waiting:
            self.waiting.start(lambda: self._process.policies.current().approvals, begin)
        else:
            begin()

    def _begin(self) -> None:
        self._retention.start()
        self._writer.cover(self._process.datasets.values())
        if self._process.settings.compacts:
            self._compactor.start()

    def pause(self) -> None:
        """Begins no more background work."""
        if self.waiting:
            self.waiting.stop()
        self._retention.stop()
        self._compactor.stop()

    def stop(self) -> None:
        """Stops the writer and the audit log, when no call is running any more."""
        self._writer.stop()
        if self._follower:
            self._follower.stop()
        self.recorder.stop()
        self._trusted.log.stop()
        self._trusted.reserve.close()

    def register(self, server: grpc.Server) -> None:
        """Adds every service to a server."""
        process, keyring, search = self._process, self._trusted.keyring, self._search
        datasets = process.datasets
        access_service_pb2_grpc.add_AccessServiceServicer_to_server(AccessService(process.access), server)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(self._admin(), server)
        approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(
            ApprovalService(process.access, self._approvals), server
        )
        audit_service_pb2_grpc.add_AuditServiceServicer_to_server(AuditService(self._trusted.log), server)
        compaction_service_pb2_grpc.add_CompactionServiceServicer_to_server(
            CompactionService(datasets, self._compaction), server
        )
        ingest_service_pb2_grpc.add_IngestServiceServicer_to_server(self._ingest(), server)
        keys_service_pb2_grpc.add_KeysServiceServicer_to_server(self._keys(), server)
        occupancy = OccupancyService(datasets, search, keyring)
        occupancy_service_pb2_grpc.add_OccupancyServiceServicer_to_server(occupancy, server)
        explain_service_pb2_grpc.add_ExplainServiceServicer_to_server(ExplainService(datasets, search, keyring), server)
        presence_service_pb2_grpc.add_PresenceServiceServicer_to_server(PresenceService(datasets, search), server)
        query_service_pb2_grpc.add_QueryServiceServicer_to_server(QueryService(datasets, search), server)
        stations_service_pb2_grpc.add_StationsServiceServicer_to_server(StationsService(datasets, search), server)
        letters = DeadLetterService(datasets, DeadLetters(keyring))
        dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(letters, server)
        verification = Verifier(self._trusted.manifest, self._cells, self._storage, search.questions)
        verification_service_pb2_grpc.add_VerificationServiceServicer_to_server(
            VerificationService(datasets, verification), server
        )

    def _admin(self) -> AdminService:
        process, trusted = self._process, self._trusted
        return AdminService(
            process.datasets,
            trusted.keyring,
            self._storage,
            self._cells.answers,
            process.policies,
            self._approvals,
            trusted.manifest,
            process.activity,
            self._compactor,
            self._memory,
            trusted.reserve,
            self._erasing,
        )

    def _ingest(self) -> IngestService:
        process = self._process
        in_force = partial(self.guard.require_in_force, INGEST)
        streams = StreamLimits(process.stopping, process.settings.idle_seconds, in_force)
        observers = process.metrics.ingested, process.activity.ingested
        return IngestService(process.datasets, self._writer, self._shapes, self._erasures, streams, *observers)

    def _keys(self) -> KeysService:
        trusted = self._trusted
        rotation = Rotation(self._process.settings.home, trusted.store, trusted.keyring, trusted.holders)
        exporter = KeyringExporter(trusted.keyring, trusted.manifest, self._currency, self._process.settings.most_tags)
        return KeysService(
            self._process.datasets,
            trusted.keyring,
            self._erasures,
            self._erasing,
            rotation,
            exporter,
            self._renewing,
        )

    def _restored(self, restore: Restore) -> RestoreApproval | None:
        """Finishes a restore, unless it has to be approved first."""
        home, log = self._process.settings.home, self._trusted.log
        if not home.restored.exists():
            return None
        if self._process.policies.current().approvals:
            return RestoreApproval(home, restore, log, self._approvals)
        finish_restore(home, restore, log)
        return None

    def _watch(self) -> None:
        watch: Callable[..., None] = self._process.metrics.watch
        trusted = self._trusted
        watch(lambda: collectors.answer_metrics(self._cells.answers))
        watch(lambda: collectors.manifest_metrics(trusted.manifest))
        watch(lambda: collectors.record_metrics(trusted.manifest, list(self._process.datasets)))
        watch(lambda: collectors.compaction_metrics(self._compactor.backlog()))
        watch(lambda: collectors.backup_metrics(trusted.store))
        watch(lambda: collectors.approval_metrics(self._approvals))
        watch(lambda: collectors.erasure_metrics(self._erasing))
        watch(lambda: collectors.memory_metrics(self._memory))
        watch(lambda: collectors.disk_metrics(trusted.reserve))


def _refuse_rolled_back(currency: RollbackCheck) -> None:
    """Refuses to start on a store that was rolled back.

    If the storage server is unavailable, the first question or batch repeats the check.
    """
    try:
        currency.require_newest()
    except RolledBackError:
        raise
    except StorageError:
        return
