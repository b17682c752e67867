"""The state that outlives the process, opened."""

from __future__ import annotations

from sqlalchemy import Engine, select

from privacyplease.proxy.access.approvals import Approvals
from privacyplease.proxy.access.policy_approval import PolicyApproval
from privacyplease.proxy.access.policy_record import PolicyRecord
from privacyplease.proxy.assembly.process import ProcessContext
from privacyplease.proxy.assembly.settings import ProxySettings
from privacyplease.proxy.audit.log import AuditLog
from privacyplease.proxy.keys.epoch_key_holders import EpochKeyHolders, check
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.keys.rotation import described_by, folder_in_force
from privacyplease.proxy.manifest.manifest import Manifest
from privacyplease.proxy.manifest.witnesses import Witnesses, witness
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store import tables
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve


class TrustedState:
    """The state that outlives the process: trusted store, keyring, audit log and manifest."""

    def __init__(self, settings: ProxySettings) -> None:
        home, url = settings.home, settings.trusted_store
        shared = trusted_store.open_url(url) if url else None
        folder = folder_in_force(shared) if shared else _folder_in_force(home)
        wraps = shared is not None and _has_keys(shared)
        master = described_by(home, folder).master_key(settings.passphrase, wraps=wraps)
        self.unshared = shared is None
        self.store = shared or trusted_store.open_store(home.trusted_store)
        self.holders = EpochKeyHolders(home, settings.epoch_keys, shared=not self.unshared)
        self.epoch_keys = self.holders.open(self.store, described_by(home, folder).master_key_choice)
        if self.epoch_keys.holder:
            check(self.epoch_keys.holder)
        self.keyring = Keyring(self.store, master, folder, self.epoch_keys)
        self.keyring.adopt()
        # The log and its anchor belong to this home. The anchor may lag behind after a loss of power, so its commits
        # need not wait for the disk.
        anchors = trusted_store.open_store(home.trusted_store, durable=False)
        self.reserve = DiskReserve(home.reserve, settings.reserve_bytes)
        if self.unshared:
            self.reserve.watch(self.store)
        self.log = AuditLog(home.audit, anchors, self.keyring, reserve=self.reserve)
        self.witnesses = Witnesses([witness(text) for text in settings.witnesses])
        self.manifest = Manifest(self.store, self.keyring, self.witnesses)

    def hold_policy(self, process: ProcessContext, approvals: Approvals) -> None:
        """Holds a changed policy file to approvals. The record is this home's, as its file is."""
        home, plaintext = process.settings.home, process.settings.certificates is None
        store = self.store if self.unshared else trusted_store.open_store(home.trusted_store)
        record = PolicyRecord(store, self.keyring, self.log)
        process.policies.hold(PolicyApproval(record, approvals, process.datasets, plaintext=plaintext))


def _folder_in_force(home: Home) -> str:
    """The folder in force, without creating a store: a store without a master key reveals a home that lost its key."""
    return folder_in_force(trusted_store.open_store(home.trusted_store)) if home.trusted_store.exists() else ""


def _has_keys(store: Engine) -> bool:
    with store.connect() as connection:
        return connection.execute(select(tables.data_keys.c.epoch).limit(1)).first() is not None
