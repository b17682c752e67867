import json
import os
import random
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacyplease.proxy.audit.chain import checkpoint, open_line, seal
from privacyplease.proxy.audit.files import files
from privacyplease.proxy.audit.verify import Verdict
from privacyplease.proxy.errors import AuditUnavailableError, ConfigurationError
from privacyplease.proxy.keys.derivation import Key
from privacyplease.proxy.keys.master_key import LocalMasterKey
from privacyplease.proxy.trusted_store import tables
from privacyplease.proxy.trusted_store.disk_reserve import DiskReserve
from tests.services.audit_log import LogFolder
from tests.services.polling import eventually

LINES = 24


@pytest.fixture
def log(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[LogFolder, list[bytes]]:
    """A log with some lines, and the lines."""
    log = LogFolder(tmp_path_factory.mktemp("written"))
    opened = log.open()
    for number in range(LINES):
        opened.record({"event": "asked", "who": f"client-{number % 3}", "purpose": "fire drill"})
    return log, log.lines()


def findings(log: LogFolder) -> list[str]:
    return log.open().verify().findings


def test_recorded_entries_are_readable_and_verify(log: LogFolder) -> None:
    opened = log.open()
    for who in ("alice", "bob"):
        opened.record({"event": "asked", "who": who})
    first, second = opened.entries()
    assert (first["n"], first["who"], second["n"], second["who"]) == (1, "alice", 2, "bob")
    assert opened.verify() == Verdict(2, [])
    assert opened.remembered().number == 2
    assert all(json.loads(line) for line in log.lines())
    assert files(log.folder)[0].stat().st_mode & 0o777 == 0o600


def test_an_empty_log_verifies(log: LogFolder) -> None:
    assert log.open().verify() == Verdict(0, [])


def test_the_log_continues_after_a_restart(log: LogFolder) -> None:
    for number in range(3):
        log.open().record({"event": str(number)})
    assert [entry["n"] for entry in log.open().entries()] == [1, 2, 3]
    assert findings(log) == []


def test_an_entry_is_one_line_whatever_its_text(log: LogFolder) -> None:
    opened = log.open()
    for text in ("a\nb", "\u2028", '"}', '","chain":"' + "0" * 64 + '"}', "\x00", "ä€𝄞"):
        opened.record({"event": "asked", "purpose": text})
    assert len(log.lines()) == 6
    assert opened.verify() == Verdict(6, [])
    assert next(entry["purpose"] for entry in opened.entries()) == "a\nb"


def test_the_chain_continues_across_files(log: LogFolder) -> None:
    opened = log.open(most_file_bytes=1_000)
    for number in range(40):
        opened.record({"event": str(number)})
    names = [file.name for file in files(log.folder)]
    assert len(names) > 3
    assert names[0] == "audit-000000000001.jsonl"
    assert all(file.stat().st_size <= 1_000 for file in files(log.folder))
    number = 40 + len(names) - 1  # with the checkpoints
    assert opened.verify() == Verdict(number, [])
    log.open(most_file_bytes=1_000).record({"event": "later"})
    entries = list(opened.entries())
    assert [entry["n"] for entry in entries] == list(range(1, len(entries) + 1))
    assert [entry["event"] for entry in entries if entry["event"] != "checkpoint"] == [*map(str, range(40)), "later"]
    files(log.folder)[1].unlink()
    (found,) = findings(log)
    assert "missing" in found
    assert names[2] in found


@pytest.fixture
def rotated(log: LogFolder) -> LogFolder:
    """A log of several files."""
    opened = log.open(most_file_bytes=1_000)
    for number in range(30):
        opened.record({"event": str(number)})
    assert len(files(log.folder)) >= 4
    return log


def test_a_log_whose_old_files_were_archived_verifies_from_the_first_that_is_left(rotated: LogFolder) -> None:
    first, second, third, *_ = files(rotated.folder)
    lines = len(rotated.lines())
    for gone, left in ((first, second), (second, third)):
        gone.unlink()
        start = json.loads(left.read_bytes().splitlines()[0])["n"]
        assert rotated.open().verify() == Verdict(lines - start + 1, [], start)
    rotated.open().record({"event": "later"})
    assert findings(rotated) == []


def lose(paths: list[Path]) -> None:
    paths[2].unlink()


def lose_last(paths: list[Path]) -> None:
    paths[-1].unlink()


def reorder(paths: list[Path]) -> None:
    one, other = paths[1].read_bytes(), paths[2].read_bytes()
    paths[1].write_bytes(other)
    paths[2].write_bytes(one)


def shorten(paths: list[Path]) -> None:
    lines = paths[1].read_bytes().splitlines(keepends=True)
    paths[1].write_bytes(b"".join(lines[:-1]))


def tear_off(paths: list[Path]) -> None:
    paths[1].write_bytes(paths[1].read_bytes()[:-20])


def behead(paths: list[Path]) -> None:
    """Removes the first file, and the checkpoint of the second."""
    paths[0].unlink()
    lines = paths[1].read_bytes().splitlines(keepends=True)
    paths[1].write_bytes(b"".join(lines[1:]))


def forge(paths: list[Path]) -> None:
    """Removes the first file and the beginning of the second, and puts a checkpoint without a key in its place."""
    paths[0].unlink()
    lines = paths[1].read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[0])
    line, _ = seal(Key(bytes(32)), bytes(32), {"n": entry["n"] + 1, "at": entry["at"], **checkpoint(bytes(32))})
    paths[1].write_bytes(b"".join([line + b"\n", *lines[2:]]))


@pytest.mark.parametrize("attack", [lose, lose_last, reorder, shorten, tear_off, behead, forge])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_missing_reordered_or_truncated_file_is_found(
    attack: Callable[[list[Path]], None], restarted: bool, rotated: LogFolder
) -> None:
    attack(files(rotated.folder))
    if restarted:
        rotated.open().record({"event": "later"})
    assert findings(rotated)


def test_a_log_that_lost_all_files_does_not_begin_anew_with_a_checkpoint(rotated: LogFolder) -> None:
    for file in files(rotated.folder):
        file.unlink()
    rotated.open().record({"event": "later"})
    (found,) = findings(rotated)
    assert "missing before" in found


def test_a_file_that_could_not_be_begun_begins_with_a_checkpoint_all_the_same(
    log: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = log.open(most_file_bytes=1)
    opened.record({"event": "first"})
    for function in ("os.write", "os.fdatasync"):
        with monkeypatch.context() as patch:
            patch.setattr(function, _full)
            with pytest.raises(AuditUnavailableError):
                opened.record({"event": "lost"})
    opened.record({"event": "second"})
    events = [(entry["n"], entry["event"]) for entry in opened.entries()]
    assert events == [(1, "first"), (2, "checkpoint"), (3, "second")]
    files(log.folder)[0].unlink()
    assert opened.verify() == Verdict(2, [], 2)


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_line_that_does_not_fit_on_the_disk_is_written_in_the_reserve(
    log: LogFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = tmp_path / "reserve", os.write
    opened = log.open(reserve=DiskReserve(file, 4_096))
    monkeypatch.setattr("os.write", lambda *to: _full() if file.exists() else write(*to))
    assert not opened.full
    opened.record({"event": "asked"})
    assert opened.full
    assert opened.verify() == Verdict(1, [])


def test_concurrent_threads_write_one_chain(log: LogFolder) -> None:
    opened = log.open()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: opened.record({"event": str(number)}), range(200)))
    assert opened.verify() == Verdict(200, [])
    assert {entry["event"] for entry in opened.entries()} == {str(number) for number in range(200)}


def test_a_log_verifies_while_it_is_written(log: LogFolder) -> None:
    opened, over = log.open(), threading.Event()

    def write() -> None:
        while not over.is_set():
            opened.record({"event": "asked"})

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert [opened.verify().findings for _ in range(20)] == [[]] * 20
    finally:
        over.set()
        writer.join()


# Manipulations of n lines at a position: the remaining lines, and the line number that the finding must name.


def edit(lines: list[bytes], at: int, chance: random.Random) -> tuple[list[bytes], set[int]]:
    """Changes a byte of a line, but not its newline."""
    line = bytearray(lines[at])
    position = chance.randrange(len(line) - 1)
    line[position] ^= chance.randrange(1, 256)
    if line[position] in b"\n\r":
        line[position] ^= 0x80
    return [*lines[:at], bytes(line), *lines[at + 1 :]], {at + 1, at + 2}


def reword(lines: list[bytes], at: int, _chance: random.Random) -> tuple[list[bytes], set[int]]:
    """What a careful forger would do: changes only the entry."""
    return [*lines[:at], lines[at].replace(b"client-", b"clienT-"), *lines[at + 1 :]], {at + 1}


def remove(lines: list[bytes], at: int, chance: random.Random) -> tuple[list[bytes], set[int]]:
    gone = chance.randrange(1, 4)
    return lines[:at] + lines[at + gone :], {at + 1}


def repeat(lines: list[bytes], at: int, _chance: random.Random) -> tuple[list[bytes], set[int]]:
    return [*lines[: at + 1], lines[at], *lines[at + 1 :]], {at + 2}


def swap(lines: list[bytes], at: int, chance: random.Random) -> tuple[list[bytes], set[int]]:
    other = chance.choice([each for each in range(len(lines)) if each != at])
    swapped = list(lines)
    swapped[at], swapped[other] = lines[other], lines[at]
    return swapped, {min(at, other) + 1}


def truncate(lines: list[bytes], at: int, _chance: random.Random) -> tuple[list[bytes], set[int]]:
    return lines[:at], {at + 1}


def tear(lines: list[bytes], at: int, chance: random.Random) -> tuple[list[bytes], set[int]]:
    """Cuts off the end in the middle of a complete line."""
    return [*lines[:at], lines[at][: chance.randrange(1, len(lines[at]))]], {at + 1}


def insert(lines: list[bytes], at: int, _chance: random.Random) -> tuple[list[bytes], set[int]]:
    return [*lines[:at], b'{"n":%d,"event":"asked","chain":"%s"}\n' % (at + 1, b"0" * 64), *lines[at:]], {at + 1}


Manipulation = Callable[[list[bytes], int, random.Random], tuple[list[bytes], set[int]]]


@pytest.mark.parametrize("manipulation", [edit, reword, remove, repeat, swap, truncate, tear, insert])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, LINES - 1), seed=st.integers(0, 2**32))
def test_every_manipulation_is_reported_with_its_line(
    manipulation: Manipulation, at: int, seed: int, written: tuple[LogFolder, list[bytes]]
) -> None:
    log, lines = written
    log.write(lines)
    reader = log.open()
    assert reader.verify() == Verdict(LINES, [])
    changed, named = manipulation(lines, at, random.Random(seed))
    log.write(changed)
    found = reader.verify().findings
    assert found
    words = found[0]
    assert any(f":{number}:" in words or f"line {number} " in words or f"lines {number} " in words for number in named)


def test_a_manipulation_is_found_after_the_log_has_continued(log: LogFolder) -> None:
    opened = log.open()
    for number in range(10):
        opened.record({"event": str(number)})
    lines = log.lines()
    for changed in (lines[:4] + lines[5:], lines[:-1], [*lines[:-1], lines[-1].replace(b"9", b"8", 1)], []):
        log.write(changed)
        log.open().record({"event": "later"})
        assert findings(log)
        log.write(lines)


def test_a_forger_without_the_key_cannot_rewrite_the_log(log: LogFolder, tmp_path: Path) -> None:
    opened = log.open()
    for number in range(5):
        opened.record({"event": str(number)})
    (tmp_path / "forger").mkdir()
    forger = LogFolder(tmp_path / "forger", LocalMasterKey(Key.generate()))
    for number in range(5):
        forger.open().record({"event": str(number + 1)})
    shutil.copytree(forger.folder, log.folder, dirs_exist_ok=True)
    assert len(findings(log)) >= 1


def test_a_torn_last_line_is_cut_off_and_recorded(log: LogFolder) -> None:
    opened = log.open()
    opened.record({"event": "asked"})
    with files(log.folder)[0].open("ab") as file:
        file.write(b'{"n":2,"at":"2026-')  # as left by SIGKILL: no anchor covers it
    assert opened.verify() == Verdict(1, [])
    again = log.open()
    again.record({"event": "asked"})
    events = [(entry["n"], entry["event"], entry.get("bytes")) for entry in again.entries()]
    assert events == [(1, "asked", None), (2, "recovered", 18), (3, "asked", None)]
    assert again.verify() == Verdict(3, [])


def test_a_line_after_the_anchor_is_genuine(log: LogFolder) -> None:
    """The state after a crash between the two."""
    opened = log.open()
    opened.record({"event": "first"})
    kept = opened.remembered()
    opened.record({"event": "second"})
    with log.store.begin() as connection:
        connection.execute(tables.audit_anchor.update().values(number=kept.number, mac=kept.mac))
    assert findings(log) == []
    log.open().record({"event": "third"})
    assert findings(log) == []


def test_an_entry_that_cannot_be_written_is_refused_and_leaves_no_trace(
    log: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = log.open()
    opened.record({"event": "first"})
    before = log.lines()

    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", _full)
        for _ in range(2):
            with pytest.raises(AuditUnavailableError):
                opened.record({"event": "lost"})
    assert log.lines() == before
    opened.record({"event": "second"})
    assert [entry["event"] for entry in opened.entries()] == ["first", "second"]
    assert opened.verify() == Verdict(2, [])


def test_lines_are_synced_together_and_lost_together(log: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = log.open()
    opened.record({"event": "first"})
    before = log.lines()

    begun = [opened.add({"event": "lost"}) for _ in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", _full)
        with pytest.raises(AuditUnavailableError):
            opened.sync(begun[1])
    assert log.lines() == before
    begun += [opened.add({"event": "second"}), opened.add({"event": "third"})]
    opened.sync(begun[-1])
    assert opened.remembered().number == 3
    for line in begun[:3]:
        with pytest.raises(AuditUnavailableError):
            opened.sync(line)
    opened.sync(begun[3])
    assert [entry["event"] for entry in opened.entries()] == ["first", "second", "third"]
    assert opened.verify() == Verdict(3, [])


def test_an_entry_that_no_caller_waits_for_becomes_durable(log: LogFolder) -> None:
    opened = log.open()
    opened.start()
    try:
        opened.add({"event": "answered"})
        assert eventually(lambda: opened.remembered().number == 1, 10)
    finally:
        opened.stop()


def test_an_unwritable_folder_prevents_the_start(log: LogFolder) -> None:
    log.folder.write_text("a file")
    with pytest.raises(ConfigurationError, match="audit"):
        log.open()


def test_a_pseudonym_is_stable_and_depends_on_the_key(log: LogFolder, tmp_path: Path) -> None:
    opened = log.open()
    name = opened.pseudonym("02:00:00:00:00:01")
    assert name == log.open().pseudonym("02:00:00:00:00:01") != opened.pseudonym("02:00:00:00:00:02")
    assert len(bytes.fromhex(name)) == 16
    (tmp_path / "other").mkdir()
    assert name != LogFolder(tmp_path / "other", LocalMasterKey(Key.generate())).open().pseudonym("02:00:00:00:00:01")


def test_bytes_that_are_not_a_line_are_not_read() -> None:
    for text in (b"", b"{}", b"null", b"[1]", b'{"n":1}', b'{"n":"1","chain":"' + b"0" * 64 + b'"}', b"\xff" * 200):
        assert open_line(text) is None
