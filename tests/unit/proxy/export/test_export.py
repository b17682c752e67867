"""An exported keyring counts as the full proxy does, opens nothing else, and cannot be used to forge answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from privacyplease.proxy.errors import (
    CellDamagedError,
    CellsMissingError,
    ConfigurationError,
    NotExportedError,
    PredicateTooLargeError,
    RolledBackError,
    StorageUnavailableError,
    WrongPassphraseError,
)
from privacyplease.proxy.export import keyring_file
from privacyplease.proxy.export.search import CHANGED, ExportedSearch
from privacyplease.proxy.keys import master_key
from privacyplease.proxy.keys.derivation import DIGEST_LABEL, Key, KeyId, context, expand
from privacyplease.proxy.manifest.rows import State
from privacyplease.proxy.query import occupancy
from privacyplease.proxy.query.question import Question
from privacyplease.proxy.records.timeline import DAY, EVER, Interval
from privacyplease.proxy.segments import groups
from privacyplease.proxy.segments.groups import Group
from privacyplease.proxy.segments.memory import Memory
from privacyplease.proxy.segments.sealing import Opener, Place
from privacyplease.proxy.storage.cell import Sealed
from tests.services.exports import ALLOWED, AUGUST, JULY, MAY, PARTNERS, answers, exporter, keys_of, table
from tests.services.fake_storage import FakeStorage
from tests.services.proxy_core import HOUR, ProxyCore


def test_an_exported_keyring_counts_as_the_full_proxy_does(filled: ProxyCore, partner: ExportedSearch) -> None:
    whole = answers(filled.search, filled)
    assert whole[0] == 52  # including the session from June and the one into August
    assert answers(partner, filled) == whole
    week = Interval(JULY + 3 * DAY, JULY + 10 * DAY)
    assert answers(partner, filled, week) == answers(filled.search, filled, week)
    assert (partner.dataset.name, list(partner.dataset.columns)) == ("wifi", list(filled.wifi.required))


def test_only_the_cores_of_the_interval_are_fetched_and_only_once(
    filled: ProxyCore, partner: ExportedSearch, storage: FakeStorage
) -> None:
    rows = filled.manifest.view("wifi").overlapping(ALLOWED)
    storage.calls.clear()
    answers(partner, filled)
    (call,) = storage.calls
    assert set(call.tags) == set(filled.cells.tags(rows, Group.CORE))


@pytest.mark.parametrize("asked", [(JULY - 1, AUGUST), (JULY, AUGUST + 1), (MAY, MAY + DAY), EVER])
def test_an_interval_that_was_not_exported_is_refused(
    partner: ExportedSearch, filled: ProxyCore, asked: tuple[int, int]
) -> None:
    with pytest.raises(NotExportedError, match="2024-07-01T00:00:00Z … 2024-08-01T00:00:00Z") as refused:
        answers(partner, filled, Interval(*asked))
    assert refused.value.field == "interval"


def test_a_question_that_is_not_a_count_is_refused(partner: ExportedSearch, filled: ProxyCore) -> None:
    for question in (
        Question(filled.wifi, ALLOWED, columns=("ssid",)),
        Question(filled.wifi, ALLOWED, subjects=pa.scalar(1, pa.int64())),
        Question(filled.datasets["bikes"], ALLOWED),
    ):
        with pytest.raises(NotExportedError, match="a count of people"), partner.ask(question):
            pass


def test_a_question_that_touches_too_much_is_refused(filled: ProxyCore, file: Path, storage: FakeStorage) -> None:
    with pytest.raises(PredicateTooLargeError):
        exporter(filled, most_tags=2).export(filled.wifi, ALLOWED, PARTNERS)
    search = ExportedSearch.open(file, PARTNERS, storage, 2, Memory(1 << 20))  # type: ignore[arg-type]
    with pytest.raises(PredicateTooLargeError):
        answers(search, filled)


def test_exported_keys_open_only_the_cores_of_their_periods(
    filled: ProxyCore, file: Path, storage: FakeStorage
) -> None:
    """Given the file, its passphrase and every cell of the store, without a proxy in between."""
    export = keyring_file.load(file, PARTNERS)
    assert sorted(export.keys) == sorted({row.key for row in filled.manifest.view("wifi").overlapping(ALLOWED)})
    assert len(export.keys) == 2 < len(filled.keyring.epochs("wifi"))
    for row in filled.rows(State.LIVE):
        for group in row.groups:
            ((tag, _),) = filled.cells.tags([row], group).items()
            opened = any(opens(key, storage.cells[tag], Place("wifi", group, tag)) for key in keys_of(export))
            assert opened == (group is Group.CORE and row.key in export.keys)
            named = any(tag in groups.tags(key, each, [row.number]) for key in keys_of(export) for each in Group)
            assert named == (group is Group.CORE and row.key in export.keys)


def opens(key: Key, sealed: Sealed, place: Place) -> bool:
    try:
        Opener(key).open(sealed, place)
    except CellDamagedError:
        return False
    return True


def test_neither_a_data_key_nor_a_digest_key_nor_a_digest_is_in_the_file(filled: ProxyCore, file: Path) -> None:
    export = keyring_file.load(file, PARTNERS)
    held = {key.reveal() for key in keys_of(export)}
    for key in export.keys:
        data_key = filled.keyring._open(("wifi", key))  # type: ignore[arg-type]
        assert data_key.reveal() not in held
        assert filled.keyring.digest_key("wifi", key) == expand(data_key, DIGEST_LABEL, "wifi")
        assert filled.keyring.digest_key("wifi", key).reveal() not in held
    assert {entry.digest for row in export.segments for entry in row.groups.values()} == {b""}
    assert {tuple(row.groups) for row in export.segments} == {(Group.CORE,)}
    assert {row.summary.subjects for row in export.segments} == {b""}


def test_a_changed_period_is_refused_until_a_new_keyring_is_exported(
    filled: ProxyCore, partner: ExportedSearch, storage: FakeStorage, tmp_path: Path
) -> None:
    filled.compact()
    filled.collect(None)
    with pytest.raises(CellsMissingError, match=CHANGED):
        answers(partner, filled)
    (newer := tmp_path / "newer").write_bytes(exporter(filled).export(filled.wifi, ALLOWED, PARTNERS).file)
    again = ExportedSearch.open(newer, PARTNERS, storage, 1_000, Memory(64 << 20))  # type: ignore[arg-type]
    assert answers(again, filled) == answers(filled.search, filled)


def test_records_stored_after_the_export_are_not_counted(filled: ProxyCore, partner: ExportedSearch) -> None:
    before = answers(partner, filled)
    filled.ingest(table([(99, JULY + DAY, 1.0)]))
    assert answers(partner, filled) == before
    assert answers(filled.search, filled)[0] == before[0] + 1


def test_whole_day_questions_stay_so_with_an_exported_keyring(
    filled: ProxyCore, storage: FakeStorage, tmp_path: Path
) -> None:
    wide = replace(filled.wifi, whole_days=True)
    noon = Interval(JULY + 12 * HOUR, JULY + 13 * HOUR)
    (file := tmp_path / "noon").write_bytes(exporter(filled).export(wide, noon, PARTNERS).file)
    search = ExportedSearch.open(file, PARTNERS, storage, 1_000, Memory(0))  # type: ignore[arg-type]
    assert search.dataset.whole_days
    storage.calls.clear()
    question = Question(search.dataset, noon)
    with search.ask(question) as answer:
        assert occupancy.count(answer.hits) == occupancy.count(filled.search.ask(question).__enter__().hits)
    assert set(storage.calls[0].tags) == set(
        filled.cells.tags(filled.manifest.view("wifi").overlapping(question.fetched), Group.CORE)
    )


def test_epochs_are_reported_and_the_file_opens_only_with_its_passphrase(
    filled: ProxyCore, file: Path, tmp_path: Path, storage: FakeStorage
) -> None:
    made = exporter(filled).export(filled.wifi, ALLOWED, PARTNERS)
    assert made.epochs == [key.epoch for key in sorted(keyring_file.load(file, PARTNERS).keys)]
    assert not any(word in made.file for word in (b'"wifi"', b"ap_name", b"client_mac"))
    for passphrase, error in ((PARTNERS + "x", WrongPassphraseError), (None, ConfigurationError)):
        with pytest.raises(error):
            ExportedSearch.open(file, passphrase, storage, 1_000, Memory(0))  # type: ignore[arg-type]
    (other := tmp_path / "other").write_bytes(master_key.sealed_by(PARTNERS, keyring_file.FORMAT, b"[]", b"\0" * 4))
    with pytest.raises(WrongPassphraseError):  # a file for another purpose does not open
        keyring_file.load(other, PARTNERS)
    other.write_bytes(
        master_key.sealed_by(PARTNERS, keyring_file.FORMAT, b'{"dataset": {}}', context(keyring_file.EXPORT_LABEL))
    )
    with pytest.raises(ConfigurationError, match="expected a file of format"):
        keyring_file.load(other, PARTNERS)


def test_a_home_that_was_rolled_back_exports_nothing(
    filled: ProxyCore, start: Callable[[], ProxyCore], storage: FakeStorage
) -> None:
    again = start()
    with storage.failing("select"), pytest.raises(StorageUnavailableError):
        exporter(again).export(again.wifi, ALLOWED, PARTNERS)
    storage.append([again.manifest.heads.seal(again.manifest.head()._replace(sequence=1_000, version=9_999))])
    newest = again.manifest.head()
    storage.append(
        [again.manifest.heads.seal(newest._replace(sequence=newest.sequence + 1, version=newest.version + 1))]
    )
    with pytest.raises(RolledBackError):
        exporter(again).export(again.wifi, ALLOWED, PARTNERS)


def test_keys_of_several_generations_are_kept_apart(filled: ProxyCore, storage: FakeStorage, tmp_path: Path) -> None:
    epoch = JULY // (30 * DAY)
    filled.renewing.renew(filled.wifi, epoch)
    (file := tmp_path / "renewed").write_bytes(exporter(filled).export(filled.wifi, ALLOWED, PARTNERS).file)
    assert KeyId(epoch, 1) in keyring_file.load(file, PARTNERS).keys
    again = ExportedSearch.open(file, PARTNERS, storage, 1_000, Memory(0))  # type: ignore[arg-type]
    assert answers(again, filled) == answers(filled.search, filled)
