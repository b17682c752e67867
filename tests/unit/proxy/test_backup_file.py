import io
import tarfile
from pathlib import Path

import pytest

from privacyplease.proxy import backup_file
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import Home


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
def test_nothing_is_written_outside(planted: tarfile.TarInfo, tmp_path: Path) -> None:
    planted.name = planted.name.format(tmp_path=tmp_path)
    file, home = tmp_path / "backup.tar", tmp_path / "home"
    with tarfile.open(file, "w") as archive:
        archive.addfile(planted, io.BytesIO())
    with pytest.raises(ConfigurationError, match="or it is damaged or cut short"):
        backup_file.restore(file, Home(home), tmp_path / "certificates")
    assert list(tmp_path.iterdir()) == [file]
