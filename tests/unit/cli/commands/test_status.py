import pytest

from privacyplease.cli.commands.status import disk_line


@pytest.mark.parametrize(
    ("low", "full", "words"),
    [
        (False, False, "free for the proxy's home"),
        (True, False, "; warning: less than 1 GiB"),
        (True, True, "full: re"),
    ],
)
def test_a_disk_that_is_low_or_full_is_warned_of(low: bool, full: bool, words: str) -> None:
    line = disk_line({"free_bytes": 5 << 20, "low": low, "full": full})
    assert words in line
    assert ("warning" in line) == low
