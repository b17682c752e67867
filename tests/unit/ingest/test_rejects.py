import csv
import stat
from pathlib import Path

import pytest

from privacyplease.ingest.errors import RejectFileError
from privacyplease.ingest.rejects import Reject, RejectFile

REJECT = Reject(7, "ap_name", "expected an access point's name", '02:fb,"a, b",\udce9')


def test_the_raw_line_is_kept_byte_for_byte(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv", source="monday.csv") as file:
        file.write([REJECT, REJECT])
    assert file.count == 2
    text = file.path.read_bytes().decode(errors="surrogateescape")
    header, *rows = csv.reader(text.splitlines())
    assert header == ["file", "line", "field", "reason", "record"]
    assert rows == [["monday.csv", "7", "ap_name", "expected an access point's name", REJECT.record]] * 2


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv") as file:
        file.write([REJECT])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_no_reject_makes_no_file(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv") as file:
        file.write([])
    assert not file.path.exists()


def test_an_earlier_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").write_text("dear")
    with pytest.raises(RejectFileError):
        RejectFile(tmp_path / "rejects.csv")
    with RejectFile(tmp_path / "late.csv") as file:
        file.path.write_text("dear")
        with pytest.raises(RejectFileError):
            file.write([REJECT])


def test_a_reject_does_not_show_the_line_when_printed() -> None:
    assert "02:fb" not in repr(REJECT)
