"""What a file is, before it is read as a log."""

import codecs
import gzip
import io
import zipfile

import pytest

from privacyplease.ingest.errors import SourceError
from privacyplease.ingest.wifi.source import chunks

TEXT = "Client MAC Address,AP Name,Association Time,Session Duration\r\n" + "02:aa:00:00:02:01,ap-Köln,x,600\r\n" * 99


def read(content: bytes, size: int = 64) -> tuple[str, list[str]]:
    warnings: list[str] = []
    return b"".join(chunks(io.BytesIO(content), 128, size, warnings=warnings)).decode(), warnings


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        gzip.compress(codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le")),
    ],
)
def test_utf_16_and_utf_32_are_recognised(content: bytes, size: int) -> None:
    assert read(content, size) == (TEXT, [])


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_lines_that_end_in_cr_alone_are_read(size: int) -> None:
    assert read(TEXT.replace("\r\n", "\r").encode(), size)[0] == TEXT.replace("\r\n", "\n")
    assert read(TEXT.replace("\r\n", "\r").encode("utf-16"), size)[0] == TEXT.replace("\r\n", "\n")


def test_other_text_is_passed_on_as_it_is() -> None:
    for content in (TEXT, TEXT.replace("\r\n", "\n"), "a\rb\nc\r", ""):
        assert read(content.encode()) == (content, [])


def _zipped(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, TEXT)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (_zipped("log.csv"), "extract it"),
        (_zipped("xl/workbook.xml"), "save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an Excel workbook: save the sheet as CSV"),
        (b"BZh91AY&SY", "bzip2: decompress it"),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "zstd: decompress it"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_a_container_that_is_not_read_is_refused_in_its_own_words(content: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        read(content)


def test_what_follows_the_compressed_data_is_warned_of() -> None:
    packed = gzip.compress(TEXT.encode())
    assert read(packed + packed) == (TEXT * 2, [])
    assert read(packed + bytes(600)) == (TEXT, [])  # as tar and tapes pad
    assert read(packed + b"trailing") == (TEXT, ["what follows the compressed data is not gzip, and was left out"])


@pytest.mark.parametrize("cut", [4, 8, 40, 100])
def test_a_gzip_file_that_is_cut_short_is_read_as_far_as_it_goes(cut: int) -> None:
    parts = []
    with pytest.raises(SourceError, match="ends too early"):  # noqa: PT012
        for chunk in chunks(io.BytesIO(gzip.compress(TEXT.encode())[:-cut]), 64, warnings=[]):
            parts.append(chunk)
    whole = b"".join(parts)
    assert TEXT.encode().startswith(whole)
    assert whole or cut == 100


def test_damage_within_a_gzip_file_is_found() -> None:
    packed = bytearray(gzip.compress(TEXT.encode()))
    packed[-6] ^= 1  # its checksum
    with pytest.raises(SourceError, match="incorrect data check"):
        read(bytes(packed))


def test_utf_16_that_ends_within_a_character_is_an_error() -> None:
    with pytest.raises(SourceError, match="truncated data"):
        read(TEXT.encode("utf-16")[:-1])
