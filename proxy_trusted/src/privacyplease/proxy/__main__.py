"""Runs the trusted proxy.

`python -m privacyplease.proxy --home DIR --storage-server HOST:PORT --certificates DIR --storage-certificates DIR`
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import math
import os
import signal
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import CACHE_BYTES, FLUSH_SECONDS, Settings
from privacyplease.proxy.compaction.garbage_collection import LONGEST_QUESTION_MS
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.query.search import MOST_TAGS
from privacyplease.proxy.telemetry import logs
from privacyplease.proxy.telemetry.logs import LogFormat
from privacyplease.proxy.telemetry.metrics import publish

_STOPPING = (signal.SIGTERM, signal.SIGINT)

_M_ARENA_MAX = -8  # malloc.h

_log = logging.getLogger("privacyplease.proxy")


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT.

    Returns:
        0 after a graceful stop; 2 if a file or flag is wrong.
    """
    flags = _parser().parse_args(arguments)
    logs.configure(flags.log_format)
    _give_memory_back()
    if not flags.home and not flags.keyring:
        _parser().error("expected --home or --keyring")
    with TemporaryDirectory(prefix="privacyplease-proxy-") as scratch:
        return _serve(flags, Home(flags.home or Path(scratch)))


def _give_memory_back() -> None:
    """Takes allocators that return what was freed: not Arrow's own, nor a heap of glibc's for each thread."""
    pa.set_memory_pool(pa.system_memory_pool())
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, 2)


def _serve(flags: argparse.Namespace, home: Home) -> int:
    try:
        proxy = Proxy(_settings(flags, home))
        port = proxy.bind(flags.listen)
        metrics = publish(proxy.metrics, flags.metrics) if flags.metrics else None
    except (ConfigurationError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    stopped = _stop_signals()
    proxy.start()
    address = f"{flags.listen.rpartition(':')[0]}:{port}"
    _log.info("%s on %s", f"locked ({proxy.locked})" if proxy.locked else "serving", address)
    if metrics and flags.metrics_address_file:
        _announce(flags.metrics_address_file, metrics)
    if flags.address_file:
        _announce(flags.address_file, address)
    stopped.wait()
    _log.info("stopping")
    proxy.stop(flags.grace_seconds, flags.lame_duck_seconds)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="privacyplease-proxy", description="The trusted proxy of Privacy Please.")
    parser.add_argument("--listen", default="127.0.0.1:50050", help="address to serve on; port 0 chooses one")
    parser.add_argument("--storage-server", required=True, metavar="HOST:PORT", help="the untrusted storage server")
    parser.add_argument(
        "--trusted-store",
        default=os.environ.pop("PRIVACYPLEASE_TRUSTED_STORE", None),
        metavar="URL",
        help="database for keys and manifest that proxies share, as mysql://user@host/database; "
        "else a file in the home [env: PRIVACYPLEASE_TRUSTED_STORE]",
    )
    parser.add_argument("--home", type=Path, help="folder of keys, trusted state and policy, made on first use")
    parser.add_argument(
        "--keyring",
        type=Path,
        metavar="FILE",
        help="exported keyring: counts people, no more; a home is for its policy",
    )
    security = parser.add_mutually_exclusive_group(required=True)
    security.add_argument(
        "--certificates",
        type=Path,
        metavar="DIR",
        help="folder of tls.crt, tls.key, ca.crt: the proxy as clients see it",
    )
    security.add_argument("--insecure", action="store_true", help="plaintext on both sides; on loopback alone")
    parser.add_argument(
        "--storage-certificates",
        type=Path,
        metavar="DIR",
        help="such a folder: the proxy as the storage server sees it",
    )
    parser.add_argument(
        "--passphrase-file", type=Path, help="file with the passphrase of the master key or the keyring"
    )
    parser.add_argument("--address-file", type=Path, help="file to write the address to, once serving")
    parser.add_argument("--questions", type=_positive, default=16, metavar="N", help="questions answered at once")
    parser.add_argument("--streams", type=_positive, default=32, metavar="N", help="ingest streams open at once")
    parser.add_argument(
        "--question-seconds", type=_question_seconds, default=120.0, metavar="S", help="how long an answer may take"
    )
    parser.add_argument(
        "--idle-seconds", type=_seconds, default=600.0, metavar="S", help="how long an ingest stream may be idle"
    )
    parser.add_argument(
        "--grace-seconds", type=_seconds, default=10.0, metavar="S", help="for running calls to end, when stopped"
    )
    parser.add_argument(
        "--lame-duck-seconds",
        type=_seconds,
        default=0.0,
        metavar="S",
        help="for load balancers to see NOT_SERVING before calls are refused, when stopped",
    )
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve Prometheus metrics here, on loopback alone")
    parser.add_argument("--metrics-address-file", type=Path, help="file to write the metrics' address to")
    parser.add_argument(
        "--log-format", type=LogFormat, choices=[*LogFormat], default=LogFormat.TEXT, help="how the log's lines look"
    )
    parser.add_argument("--no-compaction", action="store_true", help="do not compact in the background")
    parser.add_argument(
        "--cache-mib", type=int, default=CACHE_BYTES >> 20, help="MiB of cells, as stored, to keep in memory"
    )
    parser.add_argument("--most-tags", type=int, default=MOST_TAGS, help="cells that one question may touch")
    parser.add_argument(
        "--flush-seconds",
        type=_seconds,
        default=FLUSH_SECONDS,
        metavar="S",
        help="how far apart flushes of small batches begin, at least",
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="PATH|URL",
        help="folder, or URL of a database, where the newest head of the manifest is kept as well; more than once",
    )
    return parser


def _settings(flags: argparse.Namespace, home: Home) -> Settings:
    if bool(flags.certificates) != bool(flags.storage_certificates):
        raise ConfigurationError("expected --storage-certificates beside --certificates, and neither with --insecure")
    return Settings(
        home=home,
        storage=flags.storage_server,
        passphrase=_passphrase(flags.passphrase_file),
        questions=flags.questions,
        streams=flags.streams,
        question_seconds=flags.question_seconds,
        idle_seconds=flags.idle_seconds,
        flush_seconds=flags.flush_seconds,
        most_tags=flags.most_tags,
        witnesses=tuple(flags.witness),
        cache_bytes=flags.cache_mib << 20,
        compacts=not flags.no_compaction,
        certificates=flags.certificates,
        storage_certificates=flags.storage_certificates,
        trusted_store=flags.trusted_store,
        keyring=flags.keyring,
    )


def _passphrase(file: Path | None) -> str | None:
    """From the file or from PRIVACYPLEASE_PASSPHRASE; never from an argument, which every process can read."""
    try:
        given = file.read_text().strip() if file else os.environ.pop("PRIVACYPLEASE_PASSPHRASE", None)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    if given == "":
        raise ConfigurationError("the passphrase is empty")
    return given


def _stop_signals() -> threading.Event:
    """Is set by the first signal; the second ends the process at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        for number in _STOPPING:
            signal.signal(number, signal.SIG_DFL)

    for number in _STOPPING:
        signal.signal(number, stop)
    return stopped


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def _seconds(text: str) -> float:
    if not 0 <= (number := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text}")
    return number


def _question_seconds(text: str) -> float:
    if (number := _seconds(text)) > (most := LONGEST_QUESTION_MS / 1_000):
        raise argparse.ArgumentTypeError(f"expected at most {most:.0f}, after which replaced cells go, got {text}")
    return number


def _announce(file: Path, address: str) -> None:
    """Writes the address whole or not at all, so that whoever waits for the file never reads half of it."""
    part = file.with_suffix(".part")
    part.write_text(address + "\n")
    part.replace(file)


if __name__ == "__main__":
    sys.exit(main())
