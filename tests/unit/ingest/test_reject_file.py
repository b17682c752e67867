import csv
import stat
from pathlib import Path

import pytest

from privacyplease.ingest.errors import RejectFileError
from privacyplease.ingest.parsing import RejectedLine
from privacyplease.ingest.reject_file import RejectFile

REJECT = RejectedLine(7, "ap_name", "expected the name of an access point, got none", '=1+1,"a, b",\udce9')


def test_the_raw_line_is_kept_byte_for_byte(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv", source="monday.csv") as file:
        file.write([REJECT, REJECT])
    assert file.count == 2
    text = file.path.read_bytes().decode(errors="surrogateescape")
    header, *rows = csv.reader(text.splitlines())
    assert header == ["file", "line", "field", "reason", "record"]
    assert rows == [["monday.csv", "7", "ap_name", "expected the name of an access point, got none", REJECT.record]] * 2


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv") as file:
        file.write([REJECT])
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_without_rejects_no_file_is_created(tmp_path: Path) -> None:
    with RejectFile(tmp_path / "rejects.csv") as file:
        file.write([])
    assert not file.path.exists()


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "rejects.csv").write_text("dear")
    with pytest.raises(RejectFileError):
        RejectFile(tmp_path / "rejects.csv")
    with RejectFile(tmp_path / "late.csv") as file:
        file.path.write_text("dear")
        with pytest.raises(RejectFileError):
            file.write([REJECT])


def test_the_repr_of_a_rejected_line_does_not_show_the_line() -> None:
    assert "02:fb" not in repr(REJECT)
