"""Backup files: a proxy's home as of one moment, taken while the proxy may be running.

::

    file = tar of
           SHA256SUMS    a line for each other member, as sha256sum writes it
           backup.json   format, time, and what the backup contains
           proxy/…       trusted.db, master key files, policy, definitions, audit log
           certificates/…  only if requested

Nothing in it opens anything without the passphrase, the HSM, the vault or the KMS: a passphrase that the proxy
generated and keeps in its home is not included. The sums detect damage, not forgery: everyone who can write backups is
trusted.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from privacyplease.proxy.backup import registry
from privacyplease.proxy.documents import from_json
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.rotation import described_by, folder_in_force
from privacyplease.proxy.trusted_store import store as trusted_store
from privacyplease.proxy.trusted_store.tables import data_keys

FORMAT = "privacyplease backup v2"

_SUMS, _ABOUT = "SHA256SUMS", "backup.json"
_ATTEMPTS = 3
# What is copied of a home besides the store. Not `passphrase`, which would open the backup that contains it.
_KEPT = (
    "master.toml",
    "master.key",
    "master-*/master.toml",
    "master-*/master.key",
    "epoch-keys/*",
    "policy.toml",
    "datasets/*.toml",
)
_LOG = "audit/audit-*.jsonl"

Document = dict[str, Any]


class BackupContents(NamedTuple):
    """What is backed up.

    Attributes:
        home: The proxy's home.
        shared_store: URL of the trusted store that it shares with other proxies; None if the store is in the home.
        certificates: The folder of certificates to include, private keys too; None for none.
    """

    home: Home
    shared_store: str | None = None
    certificates: Path | None = None


def save(contents: BackupContents, target: Path) -> Document:
    """Makes a backup, readable only by its owner, while the proxy may be running.

    Args:
        contents: What to back up.
        target: A file that does not exist yet, or a folder to create one in.

    Returns:
        The content of `backup.json`, and the backup's file and size.

    Raises:
        ConfigurationError: The folder is not a proxy's home, its keys are elsewhere, or the file exists already.
    """
    made_at = datetime.now(UTC)
    file = target / f"privacyplease-{made_at:%Y%m%dT%H%M%S}Z.tar" if target.is_dir() else target
    if file.exists():
        raise ConfigurationError(f"{file}: exists already and is not overwritten")
    store = trusted_store.open_existing(contents.home.trusted_store, contents.shared_store)
    number = registry.begin(store)
    try:
        with TemporaryDirectory(dir=file.parent, prefix=".backup-") as scratch:
            staged = Path(scratch) / "staged"
            _stage(contents, store, staged)
            about = _about(contents, store, made_at)
            _write_all(staged, about)
            part = Path(scratch) / "part"
            _pack(staged, part)
            registry.finish(store, number)
            _publish(part, file)
    except BaseException:
        registry.abandon(store, number)
        raise
    finally:
        store.dispose()
    return about | {"file": str(file), "bytes": file.stat().st_size}


def restore(file: Path, home: Home, certificates: Path) -> Document:
    """Creates a home from a backup. The next start of a proxy on it asks the storage server what was written later.

    Args:
        file: The backup.
        home: Where to create the home; must be empty or missing.
        certificates: Where to put the backup's certificates, if any; must then be empty or missing.

    Returns:
        The content of `backup.json`.

    Raises:
        ConfigurationError: The file is not a backup, or is damaged or truncated; or a target folder is not empty.
    """
    _require_empty(home.path)
    home.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(dir=home.path.parent, prefix=".restore-") as scratch:
        about = _unpack(file, staged := Path(scratch))
        if (staged / "certificates").exists():
            _require_empty(certificates)
            _move(staged / "certificates", certificates)
        _mark(Home(staged / "proxy"), about["made_at"], sha256=_digest(file))
        _move(staged / "proxy", home.path)
    return about


def accept(home: Home) -> Document:
    """Accepts a home that was rolled back, so that the proxy continues from it.

    The next start of a proxy on it asks the storage server what was written later, as after a restore.

    Returns:
        When it was accepted.

    Raises:
        ConfigurationError: The folder is not a proxy's home.
    """
    if not home.trusted_store.exists():
        raise ConfigurationError(f"{home.path}: expected a proxy's home")
    if not home.restored.exists():  # after a restore the next start asks anyway
        _mark(home, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    about: Document = json.loads(home.restored.read_text())
    return about


def _mark(home: Home, made_at: str, **more: str) -> None:
    """Makes the next start ask the storage server what was written later."""
    part = home.restored.with_suffix(".part")
    with part.open("w") as written:
        written.write(json.dumps({"made_at": made_at, **more}) + "\n")
        written.flush()
        os.fsync(written.fileno())
    part.replace(home.restored)


def _stage(contents: BackupContents, store: Engine, staged: Path) -> None:
    """Copies a home. The store first, so that the copied audit log is at least as long as the store remembers."""
    home, copy = contents.home, Home(staged / "proxy")
    for _ in range(_ATTEMPTS):
        shutil.rmtree(staged, ignore_errors=True)
        _copy_home(home, copy)
        if _has_master_key(copy, store if contents.shared_store else None):
            break
    else:
        raise ConfigurationError(f"{home.path}: the master key was being rotated; try again")
    if contents.certificates:
        for file in (file for file in contents.certificates.rglob("*") if file.is_file()):
            _copy(file, staged / "certificates" / file.relative_to(contents.certificates))


def _copy_home(home: Home, copy: Home) -> None:
    copy.path.mkdir(mode=0o700, parents=True)
    with closing(sqlite3.connect(home.trusted_store)) as store, closing(sqlite3.connect(copy.trusted_store)) as copied:
        store.backup(copied)  # a consistent snapshot, even while the proxy writes
    for file in (file for pattern in (*_KEPT, _LOG) for file in home.path.glob(pattern)):
        with suppress(FileNotFoundError):  # of a master key that was just rotated
            _copy(file, copy.path / file.relative_to(home.path))


def _has_master_key(copy: Home, shared: Engine | None) -> bool:
    """Whether the files that describe the master key in force were copied."""
    store = shared or trusted_store.open_store(copy.trusted_store)
    folder = described_by(copy, folder_in_force(store)).path
    if shared is None:
        store.dispose()
    with closing(sqlite3.connect(copy.trusted_store)) as copied:
        copied.execute("PRAGMA journal_mode = DELETE")  # moves everything into one file
    return any((folder / name).exists() for name in ("master.key", "master.toml"))


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copyfile(file, target)


def _about(contents: BackupContents, store: Engine, made_at: datetime) -> Document:
    with store.connect() as connection:
        keys = connection.scalar(select(func.count()).select_from(data_keys))
    return {
        "format": FORMAT,
        "made_at": f"{made_at:%Y-%m-%dT%H:%M:%SZ}",
        "keys": keys,
        "shared_store": contents.shared_store is not None,
        "certificates": contents.certificates is not None,
    }


def _write_all(staged: Path, about: Document) -> None:
    (staged / _ABOUT).write_text(json.dumps(about) + "\n")
    (staged / _SUMS).write_text(_sums(staged))


def _sums(staged: Path) -> str:
    files = (file for file in _files(staged) if file != staged / _SUMS)
    return "".join(f"{_digest(file)}  {file.relative_to(staged)}\n" for file in files)


def _pack(staged: Path, part: Path) -> None:
    with part.open("xb") as written:
        part.chmod(0o600)
        with tarfile.open(fileobj=written, mode="w") as archive:
            for file in _files(staged):
                archive.add(file, str(file.relative_to(staged)), filter=_anonymous)
        written.flush()
        os.fsync(written.fileno())


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def _publish(part: Path, file: Path) -> None:
    """Publishes the file atomically, and never over another."""
    try:
        file.hardlink_to(part)
    except FileExistsError as error:
        raise ConfigurationError(f"{file}: exists already and is not overwritten") from error


def _unpack(file: Path, staged: Path) -> Document:
    """Unpacks a backup and checks every byte of it."""
    try:
        with tarfile.open(file, "r:") as archive:  # uncompressed: nothing in it is larger than the file
            for member in archive:
                _extract(archive, member, staged)
        sound = (staged / _SUMS).read_text() == _sums(staged)
        about: Document = from_json((staged / _ABOUT).read_text())
        sound &= about["format"] == FORMAT and (staged / "proxy" / "trusted.db").exists()
    except FileNotFoundError as error:
        if not file.exists():
            raise ConfigurationError(f"{file}: no such file") from error
        sound = False
    except (tarfile.TarError, ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        message = f"{file}: expected a backup of format {FORMAT!r}; this is none, or it is damaged or truncated"
        raise ConfigurationError(message)
    return about


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, staged: Path) -> None:
    """Extracts a regular file inside the folder, as `extract(filter="data")` does from Python 3.11.4 on.

    Debian 12 has 3.11.2.
    """
    target, content = staged.joinpath(member.name).resolve(), archive.extractfile(member)
    plain = member.isreg() and not member.issparse()  # a sparse file has any length in a few bytes
    if not (plain and content and target.is_relative_to(staged.resolve())):
        raise tarfile.ExtractError(f"{member.name}: expected a file inside the folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as written:
        shutil.copyfileobj(content, written)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _require_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise ConfigurationError(f"{folder}: expected an empty or missing folder; nothing was restored")


def _move(folder: Path, target: Path) -> None:
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.exists():
        target.rmdir()
    folder.rename(target)
