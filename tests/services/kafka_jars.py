"""Apache Kafka's jars, fetched by Maven once per machine and cached outside the repository.

Example:
    jars = kafka_jars.fetch()      # a folder of jars, from the cache if possible
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_POM = Path(__file__).with_name("kafka") / "pom.xml"
_PACKAGES = {"java": "default-jre-headless", "mvn": "maven"}
_FETCH_SECONDS = 600


class KafkaUnavailableError(Exception):
    """This machine cannot run a private Kafka; the message says what is missing."""


def fetch() -> Path:
    """Fetches Kafka's jars unless they are cached, and returns their folder.

    Raises:
        KafkaUnavailableError: Java or Maven is missing, or Maven has failed.
    """
    folder = _cache() / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:16]}"
    _require(*(["java"] if folder.is_dir() else ["java", "mvn"]))
    if not folder.is_dir():
        _fetch(folder)
    return folder


def class_archive() -> Path:
    """The path of the class data archive that a broker's first run creates and later runs start from."""
    java = Path(shutil.which("java") or "java").resolve()
    return fetch() / f"classes-{java.stat().st_mtime_ns}.jsa"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "privacyplease"


def _require(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        packages = " ".join(_PACKAGES[program] for program in missing)
        raise KafkaUnavailableError(f"expected {' and '.join(missing)} (apt-get install {packages}), got none")


def _fetch(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="kafka-") as scratch:
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(_POM), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={scratch}/jars"]
        maven = subprocess.run(command, capture_output=True, timeout=_FETCH_SECONDS)
        if maven.returncode:
            raise KafkaUnavailableError(f"Maven has failed:\n{maven.stdout.decode(errors='replace')[-2000:]}")
        try:
            # The folder appears as a whole or not at all; if another run was faster, its folder is as good.
            (Path(scratch) / "jars").rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
