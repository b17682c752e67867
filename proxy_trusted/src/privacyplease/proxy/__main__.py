"""Runs the trusted proxy.

`python -m privacyplease.proxy --home DIR --storage-server HOST:PORT --certificates DIR --storage-certificates DIR`
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from privacyplease.proxy import allocator
from privacyplease.proxy.assembly.proxy import Proxy
from privacyplease.proxy.assembly.settings import CACHE_BYTES, FLUSH_SECONDS, ProxySettings
from privacyplease.proxy.compaction.garbage_collection import LONGEST_QUESTION_MS
from privacyplease.proxy.errors import ConfigurationError
from privacyplease.proxy.keys.file_modes import require_private
from privacyplease.proxy.keys.home import Home
from privacyplease.proxy.query.search import MOST_TAGS
from privacyplease.proxy.telemetry.metrics import publish
from privacyplease.transport import environment, log_format
from privacyplease.transport.address import checked_address
from privacyplease.transport.lost_threads import exit_when_lost
from privacyplease.transport.process import add_server_options, private_files, seconds, write_address
from privacyplease.transport.stop_signals import stop_on_signal

_log = logging.getLogger("privacyplease.proxy")


def main(arguments: list[str] | None = None) -> int:
    """Runs until SIGTERM or SIGINT.

    Returns:
        0 after a graceful stop; 2 if a file or flag is wrong.
    """
    environment.receive()
    exit_when_lost()
    flags = _parser().parse_args(arguments)
    log_format.configure(flags.log_format)
    allocator.configure()
    private_files()
    if not flags.home and not flags.keyring:
        _parser().error("expected --home or --keyring")
    with TemporaryDirectory(prefix="privacyplease-proxy-") as scratch:
        return _serve(flags, Home(flags.home or Path(scratch)))


def _serve(flags: argparse.Namespace, home: Home) -> int:
    try:
        if not flags.keyring:
            require_private(home)
        proxy = Proxy(_settings(flags, home))
        port = proxy.bind(flags.listen)
        metrics = publish(proxy.metrics, flags.metrics) if flags.metrics else None
    except (ConfigurationError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    with stop_on_signal() as stop:
        proxy.start()
        address = f"{flags.listen.rpartition(':')[0]}:{port}"
        _log.info("%s on %s", f"locked ({proxy.locked})" if proxy.locked else "serving", address)
        if metrics and flags.metrics_address_file:
            write_address(flags.metrics_address_file, metrics)
        if flags.address_file:
            write_address(flags.address_file, address)
        stop.wait()
        _log.info("stopping")
        proxy.stop(flags.grace_seconds, flags.lame_duck_seconds)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="privacyplease-proxy", description="The trusted proxy of Privacy Please.")
    parser.add_argument(
        "--listen",
        default="127.0.0.1:50050",
        metavar="HOST:PORT",
        help="address to serve on; port 0 picks a free port",
    )
    parser.add_argument(
        "--storage-server", required=True, type=_address, metavar="HOST:PORT", help="the untrusted storage server"
    )
    parser.add_argument(
        "--trusted-store",
        default=os.environ.pop("PRIVACYPLEASE_TRUSTED_STORE", None),
        metavar="URL",
        help="database for keys and manifest, shared by several proxies, as mysql://user@host/database; "
        "default: a file in the home [env: PRIVACYPLEASE_TRUSTED_STORE]",
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="folder for keys, trusted state and policy, created on first use"
    )
    parser.add_argument(
        "--epoch-keys",
        type=Path,
        default=os.environ.pop("PRIVACYPLEASE_EPOCH_KEYS", None),
        metavar="DIR",
        help="folder of the key-encryption keys that erasing destroys, shared by proxies that share a trusted store; "
        "default: the vault or HSM of the master key, or a folder in the home "
        "[env: PRIVACYPLEASE_EPOCH_KEYS]",
    )
    parser.add_argument(
        "--keyring",
        type=Path,
        metavar="FILE",
        help="exported keyring, with which the proxy only counts people; --home then provides only the policy",
    )
    security = parser.add_mutually_exclusive_group(required=True)
    security.add_argument(
        "--certificates",
        type=Path,
        metavar="DIR",
        help="folder with tls.crt, tls.key and ca.crt, which the proxy shows to clients",
    )
    security.add_argument("--insecure", action="store_true", help="plaintext on both sides; allowed only on loopback")
    parser.add_argument(
        "--storage-certificates",
        type=Path,
        metavar="DIR",
        help="folder with the same files, which the proxy shows to the storage server",
    )
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="file with the passphrase of the master key or the keyring",
    )
    parser.add_argument(
        "--questions", type=_positive, default=32, metavar="N", help="how many questions may run at once"
    )
    parser.add_argument(
        "--streams", type=_positive, default=32, metavar="N", help="how many ingest streams may be open at once"
    )
    parser.add_argument(
        "--question-seconds", type=_question_seconds, default=120.0, metavar="S", help="how long an answer may take"
    )
    parser.add_argument(
        "--idle-seconds", type=seconds, default=600.0, metavar="S", help="how long an ingest stream may be idle"
    )
    add_server_options(parser)
    parser.add_argument("--no-compaction", action="store_true", help="do not compact in the background")
    parser.add_argument(
        "--cache-mib",
        type=int,
        default=CACHE_BYTES >> 20,
        metavar="N",
        help="MiB of cells, in stored size, to keep in memory",
    )
    parser.add_argument(
        "--most-tags", type=int, default=MOST_TAGS, metavar="N", help="how many cells one question may touch"
    )
    parser.add_argument(
        "--flush-seconds",
        type=seconds,
        default=FLUSH_SECONDS,
        metavar="S",
        help="least time between the starts of two flushes while batches are small",
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=os.environ.pop("PRIVACYPLEASE_WITNESSES", "").splitlines(),
        metavar="PATH|URL",
        help="folder, or URL of a database, that also keeps the newest head of the manifest; may be repeated "
        "[env: PRIVACYPLEASE_WITNESSES, one a line]",
    )
    return parser


def _settings(flags: argparse.Namespace, home: Home) -> ProxySettings:
    if bool(flags.certificates) != bool(flags.storage_certificates):
        raise ConfigurationError("expected --certificates and --storage-certificates together, or --insecure")
    return ProxySettings(
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
        epoch_keys=flags.epoch_keys,
        trusted_store=flags.trusted_store,
        keyring=flags.keyring,
    )


def _passphrase(file: Path | None) -> str | None:
    """From the file or from PRIVACYPLEASE_PASSPHRASE; never from an argument, which every process can read."""
    try:
        passphrase = file.read_text().strip() if file else os.environ.pop("PRIVACYPLEASE_PASSPHRASE", None)
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    if passphrase == "":
        raise ConfigurationError("expected a passphrase, got an empty one")
    return passphrase


def _address(text: str) -> str:
    try:
        return checked_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {number}")
    return number


def _question_seconds(text: str) -> float:
    if (number := seconds(text)) > (most := LONGEST_QUESTION_MS / 1_000):
        raise argparse.ArgumentTypeError(
            f"expected at most {most:.0f}, since replaced cells are deleted after that, got {text}"
        )
    return number


if __name__ == "__main__":
    sys.exit(main())
