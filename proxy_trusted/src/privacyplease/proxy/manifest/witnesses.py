"""Witnesses: other places that keep the newest head of the manifest, so that a home is not rolled back unnoticed.

A witness is a disk, a file on another host or a second database: anything that an attacker who rolls back the home and
the storage server together does not control. It sees a version and a sealed head, and cannot forge one.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, String, Table, create_engine, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from privacyplease.proxy.documents import from_json
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.storage.cell import Cell, Sealed, Tag
from privacyplease.proxy.trusted_store.upsert import upsert

_log = logging.getLogger(__name__)

_metadata = MetaData()
_heads = Table(
    "privacyplease_witness",
    _metadata,
    Column("home", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("tag", LargeBinary(16), nullable=False),
    Column("sealed", LargeBinary(1024), nullable=False),
)


class Witness(Protocol):
    """Keeps the newest head of each home."""

    def newest(self, home: str) -> Cell | None:
        """The head that was last recorded; None if there is none.

        Raises:
            OSError: The witness cannot be reached.
        """

    def record(self, home: str, version: int, head: Cell) -> None:
        """Records a head, durably, unless it has a newer one, which a rolled-back home must find.

        Raises:
            OSError: The witness cannot be reached.
        """


class FileWitness:
    """A folder with a file for each home, on another disk for instance."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def newest(self, home: str) -> Cell | None:
        """See `Witness.newest`."""
        recorded = self._recorded(home)
        return recorded[1] if recorded else None

    def record(self, home: str, version: int, head: Cell) -> None:
        """See `Witness.record`."""
        recorded, file = self._recorded(home), self._file(home)
        if recorded and recorded[0] > version:
            return
        part = file.with_suffix(f".{secrets.token_hex(8)}.part")  # a process on another host may have our pid
        with part.open("w") as written:
            json.dump({"version": version, "tag": head.tag.hex(), "sealed": head.sealed.hex()}, written)
            written.flush()
            os.fsync(written.fileno())
        part.replace(file)

    def _recorded(self, home: str) -> tuple[int, Cell] | None:
        """The version and the head that are recorded."""
        file = self._file(home)
        if not self._folder.is_dir():
            raise FileNotFoundError(f"{self._folder}: no such folder")
        if not file.exists():
            return None
        try:
            fields = from_json(file.read_text())
            head = Cell(Tag(bytes.fromhex(fields["tag"])), Sealed(bytes.fromhex(fields["sealed"])))
            return int(fields["version"]), head
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(f"{file}: damaged") from error

    def _file(self, home: str) -> Path:
        return self._folder / f"{home}.head"


class DatabaseWitness:
    """A table of a database."""

    def __init__(self, url: str) -> None:
        """Prepares to connect, which the first call does.

        Raises:
            ConfigurationError: The URL is not that of a supported database.
        """
        try:
            parsed = make_url(url)
            driver = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql"}.get(parsed.drivername, parsed.drivername)
            self._engine = create_engine(parsed.set(drivername=driver), pool_pre_ping=True)
        except (ArgumentError, SQLAlchemyError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                "--witness: expected a folder, or a URL such as mysql://user@host/database"
            ) from error
        self._created = False

    def newest(self, home: str) -> Cell | None:
        """See `Witness.newest`."""
        try:
            self._create_table()
            with self._engine.connect() as connection:
                row = connection.execute(select(_heads).where(_heads.c.home == home)).one_or_none()
        except SQLAlchemyError as error:
            raise OSError("a witness cannot be reached") from error
        return Cell(Tag(bytes(row.tag)), Sealed(bytes(row.sealed))) if row else None

    def record(self, home: str, version: int, head: Cell) -> None:
        """See `Witness.record`."""
        statement = upsert(
            self._engine.dialect,
            _heads,
            lambda new: {"version": new.version, "tag": new.tag, "sealed": new.sealed},
        )
        try:
            self._create_table()
            with self._engine.begin() as connection:
                known = connection.scalar(select(_heads.c.version).where(_heads.c.home == home))
                if known is None or known <= version:
                    connection.execute(
                        statement, {"home": home, "version": version, "tag": head.tag, "sealed": head.sealed}
                    )
        except SQLAlchemyError as error:
            raise OSError("a witness cannot be reached") from error

    def _create_table(self) -> None:
        if not self._created:
            _metadata.create_all(self._engine)
            self._created = True


class Witnesses:
    """All witnesses of a home.

    Attributes:
        failures: How often a witness could not be reached.
    """

    def __init__(self, witnesses: Iterable[Witness]) -> None:
        self._witnesses = list(witnesses)
        self._lock = threading.Lock()
        self.failures = 0

    def __len__(self) -> int:
        return len(self._witnesses)

    def newest(self, home: str) -> list[Cell]:
        """The newest head of each witness that has one and can be reached."""
        heads = []
        for witness in self._witnesses:
            try:
                heads.append(witness.newest(home))
            except OSError as error:
                self._missed(error)
        return [head for head in heads if head is not None]

    def record(self, home: str, version: int, head: Cell) -> None:
        """Records a head with all witnesses. One that cannot be reached keeps an older head, which raises no alarm."""
        with self._lock:  # one head at a time, or an older one could replace a newer one
            for witness in self._witnesses:
                try:
                    witness.record(home, version, head)
                except OSError as error:
                    self._missed(error)

    def _missed(self, error: OSError) -> None:
        self.failures += 1
        _log.warning("a witness could not be reached about the manifest's head: %s", error)


def witness(text: str) -> Witness:
    """The witness that a flag names: a folder, or the URL of a database.

    Raises:
        ConfigurationError: The text is neither.
    """
    if "://" in text:
        return DatabaseWitness(text)
    folder = Path(text)
    if not folder.is_dir():
        raise ConfigurationError(f"--witness {text}: expected an existing folder, or the URL of a database")
    return FileWitness(folder)
