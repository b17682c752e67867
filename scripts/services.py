"""Starts a private MariaDB and a private Kafka for development, until Ctrl-C: `make services`.

Prints on stdout how to use them, as lines for a shell:

    export KAFKA_BOOTSTRAP=127.0.0.1:40123
    export STORAGE_URL=mysql://root@127.0.0.1:40124/privacyplease

If one of these variables is already set, its service is not started. The data stays in `.cache/services` until `make
clean`; the ports are new each time.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

_ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_ROOT))

from tests.services import mariadb  # noqa: E402 (the tests are not installed: the line above makes them importable)
from tests.services.kafka import Kafka  # noqa: E402
from tests.services.mariadb import MariaDB  # noqa: E402
from tests.services.maven_jars import JarsUnavailableError  # noqa: E402

_DATABASE = "privacyplease"


def main() -> None:
    """Starts both, waits for Ctrl-C or SIGTERM, and stops both."""
    signal.signal(signal.SIGTERM, _interrupt)
    data = _ROOT / ".cache" / "services"
    try:
        with ExitStack() as running:
            exports = {
                "KAFKA_BOOTSTRAP": os.environ.get("KAFKA_BOOTSTRAP") or _kafka(running, _folder(data / "kafka")),
                "STORAGE_URL": os.environ.get("STORAGE_URL") or _mariadb(running, _folder(data / "mariadb")),
            }
            for name, value in exports.items():
                sys.stdout.write(f"export {name}={value}\n")
            sys.stdout.flush()
            sys.stderr.write("Ready. Press Ctrl-C to stop.\n")
            signal.pause()
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
    except JarsUnavailableError as error:
        sys.exit(f"error: {error}\nhint: or set KAFKA_BOOTSTRAP to a running broker")


def _kafka(running: ExitStack, root: Path) -> str:
    sys.stderr.write("Starting Kafka (its jars are downloaded the first time)\n")
    return running.enter_context(Kafka(root=root)).bootstrap


def _mariadb(running: ExitStack, root: Path) -> str:
    if not mariadb.installed():
        sys.exit("error: expected mariadbd and mariadb-install-db, got none\nhint: apt-get install mariadb-server")
    sys.stderr.write("Starting MariaDB\n")
    database = running.enter_context(MariaDB(root=root))
    database.execute(f"CREATE DATABASE IF NOT EXISTS `{_DATABASE}`")
    return database.url(_DATABASE)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
