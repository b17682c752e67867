"""The command line: `python -m privacyplease.server --storage URL --listen HOST:PORT --certificates DIR`.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import signal
import sys
import threading
from dataclasses import fields
from pathlib import Path

from privacyplease.server import logs
from privacyplease.server.errors import ServerError
from privacyplease.server.limits import Limits
from privacyplease.server.logs import LogFormat
from privacyplease.server.metrics import Metrics, publish
from privacyplease.server.server import Load, build_server
from privacyplease.server.storage_url import open_store

_LOAD = {
    "reads": "selections and measurements at the same time",
    "writes": "appends and deletions at the same time",
    "seconds": "how long one call may take",
}
_STORAGE_VARIABLE = "PRIVACYPLEASE_STORAGE"
_STOPPING = (signal.SIGTERM, signal.SIGINT)

_log = logging.getLogger("privacyplease.server")


def main(arguments: list[str] | None = None) -> int:
    """Runs the server until it is told to stop, and returns the exit code."""
    options = _parser().parse_args(arguments)
    logs.configure(options.log_format)
    try:
        _serve(options, _stop_signal())
    except ServerError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _serve(options: argparse.Namespace, stop: threading.Event) -> None:
    limits = Limits(**{field.name: getattr(options, field.name) for field in fields(Limits)})
    load = Load(**{field.name: getattr(options, field.name) for field in fields(Load)})
    store = open_store(options.storage, limits, connections=load.connections)
    try:
        metrics = Metrics()
        metrics.watch(store.connections)
        server = build_server(store, limits, load=load, certificates=options.certificates, metrics=metrics)
        address = server.bind(options.listen)
        if options.metrics:
            _tell(publish(metrics, options.metrics), options.metrics_address_file)
        server.start()
        _log.info("serving on %s, cells in %s", address, store.describe().database)
        _tell(address, options.address_file)
        stop.wait()
        _log.info("stopping")
        server.stop(options.grace_seconds, options.lame_duck_seconds)
    finally:
        store.close()


def _stop_signal() -> threading.Event:
    """Is set by the first signal; the second ends the process at once."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        for number in _STOPPING:
            signal.signal(number, signal.SIG_DFL)

    for number in _STOPPING:
        signal.signal(number, stop)
    return stopped


def _tell(address: str, file: Path | None) -> None:
    if file is not None:
        # Renamed into place: whoever waits for the file finds it whole or not at all.
        partial = file.with_name(f"{file.name}.{os.getpid()}")
        partial.write_text(f"{address}\n", encoding="utf-8")
        partial.replace(file)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacyplease-server",
        description="The untrusted storage server: keeps sealed cells that it cannot open.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    storage = os.environ.get(_STORAGE_VARIABLE)
    parser.add_argument(
        "--storage",
        metavar="URL",
        default=storage,
        required=storage is None,
        help=f"mysql://user:password@host:port/database or sqlite:///path; also from {_STORAGE_VARIABLE}",
    )
    parser.add_argument("--listen", metavar="HOST:PORT", default="127.0.0.1:7070", help="port 0 lets the system choose")
    security = parser.add_mutually_exclusive_group(required=True)
    security.add_argument(
        "--certificates", metavar="DIR", type=Path, help="folder of tls.crt, tls.key and ca.crt: the proxy's CA"
    )
    security.add_argument("--insecure", action="store_true", help="plaintext; on loopback alone")
    parser.add_argument("--address-file", metavar="PATH", type=Path, help="write HOST:PORT here once serving")
    for field in fields(Load):
        parser.add_argument(f"--{field.name}", metavar="N", type=int, default=field.default, help=_LOAD[field.name])
    parser.add_argument(
        "--grace-seconds", metavar="S", type=_seconds, default=10.0, help="for running calls to end, when stopped"
    )
    parser.add_argument(
        "--lame-duck-seconds",
        metavar="S",
        type=_seconds,
        default=0.0,
        help="for load balancers to see NOT_SERVING before calls are refused, when stopped",
    )
    parser.add_argument("--metrics", metavar="HOST:PORT", help="serve Prometheus metrics here, on loopback alone")
    parser.add_argument("--metrics-address-file", metavar="PATH", type=Path, help="write the metrics' HOST:PORT here")
    parser.add_argument(
        "--log-format", type=LogFormat, choices=[*LogFormat], default=LogFormat.TEXT, help="how the log's lines look"
    )
    for field in fields(Limits):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, metavar="N", type=int, default=field.default, help="limit of one call")
    return parser


def _seconds(text: str) -> float:
    if not 0 <= (number := float(text)) < math.inf:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text}")
    return number


if __name__ == "__main__":
    sys.exit(main())
