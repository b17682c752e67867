"""Backup files: complete or refused, never written over other files, and without anything that opens a key."""

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from privacyplease.proxy.backup import __main__ as command
from privacyplease.proxy.backup import archive as backups
from privacyplease.proxy.backup import registry
from privacyplease.proxy.backup.archive import BackupContents
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys import master_key
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.keys.keyring import Keyring
from privacyplease.proxy.trusted_store import store as trusted_store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home with a key, under a passphrase that it generated itself."""
    monkeypatch.setattr(master_key, "ARGON2", {"iterations": 1, "lanes": 1, "memory_kib": 8})
    home = Home(tmp_path / "home")
    master = home.master_key(None)
    store = trusted_store.open_store(home.trusted_store)
    Keyring(store, master).ensure("wifi", 1)
    store.dispose()
    return home


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    return made


@pytest.mark.parametrize(
    "planted",
    [
        member("../outside"),
        member("proxy/../../outside"),
        member("{tmp_path}/outside"),
        member("proxy/link", tarfile.SYMTYPE, "../../outside"),
        member("proxy/link", tarfile.LNKTYPE, "../outside"),
        member("proxy/pipe", tarfile.FIFOTYPE),
    ],
    ids=["up", "up again", "absolute", "symbolic link", "hard link", "pipe"],
)
def test_a_member_outside_the_folder_is_refused(planted: tarfile.TarInfo, tmp_path: Path) -> None:
    planted.name = planted.name.format(tmp_path=tmp_path)
    file, home = tmp_path / "backup.tar", tmp_path / "home"
    with tarfile.open(file, "w") as archive:
        archive.addfile(planted, io.BytesIO())
    with pytest.raises(ConfigurationError, match="or it is damaged or truncated"):
        backups.restore(file, Home(home), tmp_path / "certificates")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_archive_is_refused_before_it_is_unpacked(
    mode: Literal["w:gz", "w:bz2", "w:xz"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup is not compressed: what is could fill the disk while it is unpacked."""
    file, home = tmp_path / "backup.tar", tmp_path / "home"
    zeros = tarfile.TarInfo("proxy/zeros")
    zeros.size = 1 << 20
    with tarfile.open(file, mode) as archive:
        archive.addfile(zeros, io.BytesIO(bytes(zeros.size)))
    monkeypatch.setattr(shutil, "copyfileobj", lambda *_: pytest.fail("a member was unpacked"))
    with pytest.raises(ConfigurationError, match="or it is damaged or truncated"):
        backups.restore(file, Home(home), tmp_path / "certificates")
    assert list(tmp_path.iterdir()) == [file]


def test_a_sparse_file_is_refused_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tebibyte of zeros, in a member of 1 KiB (GNU format 1.0)."""
    file, home = tmp_path / "backup.tar", tmp_path / "home"
    holes = tarfile.TarInfo("GNUSparseFile.0/proxy/zeros")
    holes.size = 512
    holes.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "proxy/zeros",
        "GNU.sparse.realsize": str(1 << 40),
    }
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(holes, io.BytesIO(f"1\n{1 << 40}\n0\n".encode().ljust(512, b"\0")))
    monkeypatch.setattr(shutil, "copyfileobj", lambda *_: pytest.fail("a sparse file was written"))
    with pytest.raises(ConfigurationError, match="or it is damaged or truncated"):
        backups.restore(file, Home(home), tmp_path / "certificates")


def test_a_restored_home_is_marked_and_opens_only_with_its_passphrase(home: Home, tmp_path: Path) -> None:
    passphrase = (home.path / "passphrase").read_text().strip()
    about = backups.save(BackupContents(home), tmp_path)
    file = Path(about["file"])
    held = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (about["bytes"], about["keys"], about["shared_store"]) == (len(held), 1, False)
    assert passphrase.encode() not in held
    shutil.rmtree(home.path)
    backups.restore(file, home, tmp_path / "certificates")
    digest = hashlib.sha256(held).hexdigest()
    assert json.loads(home.restored.read_text()) == {"made_at": about["made_at"], "sha256": digest}
    store = trusted_store.open_store(home.trusted_store)
    assert Keyring(store, home.master_key(passphrase)).epochs("wifi") == [1]
    with pytest.raises(ConfigurationError, match="expected a passphrase"):
        home.master_key(None)


def test_segments_retired_during_a_backup_stay_unless_it_fails(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = trusted_store.open_store(home.trusted_store)
    needed: list[int | None] = []
    pack = backups._pack

    def watched(*given: Path) -> None:
        needed.append(registry.needed_after(store))
        pack(*given)

    monkeypatch.setattr(backups, "_pack", watched)
    with pytest.raises(FileNotFoundError):
        backups.save(BackupContents(home), tmp_path / "nowhere" / "file")
    assert registry.needed_after(store) is None
    backups.save(BackupContents(home), tmp_path / "file")
    assert [*needed, registry.needed_after(store)] == [0, 0]


def test_a_damaged_backup_is_refused(home: Home, tmp_path: Path) -> None:
    backups.save(BackupContents(home), file := tmp_path / "file")
    whole = file.read_bytes()
    with tarfile.open(file) as archive:
        members = archive.getmembers()
    damaged = [b"", *(whole[: part.offset_data + part.size // 2] for part in members)]
    damaged += [whole[: part.offset] for part in members]
    for at in (at for part in members for at in (part.offset + 3, part.offset_data + part.size // 2)):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    shutil.rmtree(home.path)
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(ConfigurationError, match="or it is damaged or truncated"):
            backups.restore(file, home, tmp_path / "certificates")
        assert not home.path.exists()
    assert list(tmp_path.glob(".restore-*")) == []


def test_existing_files_are_not_overwritten(home: Home, tmp_path: Path) -> None:
    backups.save(BackupContents(home), file := tmp_path / "file")
    with pytest.raises(ConfigurationError, match="exists already and is not overwritten"):
        backups.save(BackupContents(home), file)
    with pytest.raises(ConfigurationError, match="expected an empty or missing folder"):
        backups.restore(file, home, tmp_path / "certificates")
    with pytest.raises(ConfigurationError, match="expected a proxy's home"):
        backups.save(BackupContents(Home(tmp_path / "elsewhere")), tmp_path / "other")


def test_the_command_saves_restores_and_accepts(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = command.main(["--home", str(home.path), *arguments])
        return code, *capsys.readouterr()

    code, out, _ = run("accept")
    assert (code, json.loads(out)) == (0, json.loads(home.restored.read_text()))
    assert run("accept")[1] == out  # the first decision counts
    home.restored.unlink()
    code, out, _ = run("save", str(tmp_path / "file"))
    about = json.loads(out)
    assert (code, about["keys"]) == (0, 1)
    assert run("restore", str(tmp_path / "file"), "--certificates", str(tmp_path / "certificates"))[0] == 2
    shutil.rmtree(home.path)
    code, _, error = run("accept")
    assert (code, error) == (2, f"error: {home.path}: expected a proxy's home\n")
    assert run("restore", str(tmp_path / "file"), "--certificates", str(tmp_path / "certificates"))[0] == 0
    marked = json.loads(home.restored.read_text())
    assert marked["made_at"] == about["made_at"]
    assert json.loads(run("accept")[1]) == marked  # as after a restore
