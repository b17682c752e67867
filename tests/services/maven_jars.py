"""Jars that Maven fetches once per machine, cached outside the repository under the hash of the pom that names them.

Example:
    jars = maven_jars.fetch("kafka", pom)      # a folder of jars, from the cache if possible
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}
_FETCH_SECONDS = 600


class JarsUnavailableError(Exception):
    """This machine cannot run what the jars are for; the message says what is missing."""


def fetch(name: str, pom: Path) -> Path:
    """Fetches the runtime jars of a pom unless they are cached, and returns their folder.

    Args:
        name: The beginning of the folder's name.
        pom: Names the jars.

    Raises:
        JarsUnavailableError: Java or Maven is missing, or Maven has failed.
    """
    folder = _cache() / f"{name}-{hashlib.sha256(pom.read_bytes()).hexdigest()[:16]}"
    _require(*(["java"] if folder.is_dir() else ["java", "mvn"]))
    if not folder.is_dir():
        _fetch(pom, folder)
    return folder


def class_archive(folder: Path) -> Path:
    """The path of the class data archive of a program in a folder of jars: its first run creates it (JEP 350)."""
    java = Path(shutil.which("java") or "java").resolve()
    return folder / f"classes-{java.stat().st_mtime_ns}.jsa"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "privacyplease"


def _require(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = " ".join(_PACKAGES[program] for program in missing)
        raise JarsUnavailableError(f"expected {' and '.join(missing)} (apt-get install {packages}), got none")


def _fetch(pom: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="jars-") as scratch:
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={scratch}/jars"]
        maven = subprocess.run(command, capture_output=True, timeout=_FETCH_SECONDS)
        if maven.returncode:
            raise JarsUnavailableError(f"Maven has failed:\n{maven.stdout.decode(errors='replace')[-2000:]}")
        try:
            # The folder appears as a whole or not at all; if another run was faster, its folder is as good.
            (Path(scratch) / "jars").rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
