"""The command line: `python -m privacyplease.server --storage URL --listen HOST:PORT --certificates DIR`.

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 could not start, 2 invalid arguments.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from dataclasses import fields
from pathlib import Path

from privacyplease.server.errors import ServerError
from privacyplease.server.limits import Limits
from privacyplease.server.metrics import Metrics, publish
from privacyplease.server.server import Load, build_server
from privacyplease.server.storage_url import open_store
from privacyplease.transport import environment, log_format
from privacyplease.transport.lost_threads import exit_when_lost
from privacyplease.transport.process import add_server_options, private_files, write_address
from privacyplease.transport.stop_signals import stop_on_signal

_HELP = {
    "reads": "slots for selections and measurements",
    "writes": "slots for appends and deletions",
    "seconds": "how long one call may take, in seconds",
    "max_tags_per_predicate": "tags in one predicate",
    "max_cells_per_append": "cells in one append",
    "max_cell_bytes": "length of one cell's ciphertext, in bytes",
    "max_message_bytes": "size of one message, in bytes",
}
_STORAGE_VARIABLE = "PRIVACYPLEASE_STORAGE"

_log = logging.getLogger("privacyplease.server")


def main(arguments: list[str] | None = None) -> int:
    """Runs the server until it is stopped, and returns the exit code."""
    environment.receive()
    exit_when_lost()
    options = _parser().parse_args(arguments)
    log_format.configure(options.log_format)
    private_files()
    try:
        with stop_on_signal() as stop:
            _serve(options, stop)
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
        metrics.watch(store.connections, store.free_bytes)
        if options.certificates:
            metrics.watch_certificates(options.certificates)
        server = build_server(store, limits, load=load, certificates=options.certificates, metrics=metrics)
        address = server.bind(options.listen)
        if options.metrics:
            metrics_address = publish(metrics, options.metrics)
            if options.metrics_address_file:
                write_address(options.metrics_address_file, metrics_address)
        server.start()
        _log.info("serving on %s, cells in %s", address, store.describe().database)
        if options.address_file:
            write_address(options.address_file, address)
        stop.wait()
        _log.info("stopping")
        server.stop(options.grace_seconds, options.lame_duck_seconds)
    finally:
        store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="privacyplease-server",
        description="The untrusted storage server: keeps sealed cells that it cannot open.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    storage = os.environ.get(_STORAGE_VARIABLE)
    parser.set_defaults(storage=storage)  # as the option's own default, --help would show its password
    parser.add_argument(
        "--storage",
        metavar="URL",
        default=argparse.SUPPRESS,
        required=storage is None,
        help=f"mysql://user:password@host:port/database or sqlite:///path [env: {_STORAGE_VARIABLE}]",
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default="127.0.0.1:7070", help="address to serve on; port 0 chooses a free one"
    )
    security = parser.add_mutually_exclusive_group(required=True)
    security.add_argument(
        "--certificates", metavar="DIR", type=Path, help="folder of tls.crt, tls.key and ca.crt (the proxy's CA)"
    )
    security.add_argument("--insecure", action="store_true", help="plaintext; only on loopback")
    for field in fields(Load):
        parser.add_argument(f"--{field.name}", metavar="N", type=int, default=field.default, help=_HELP[field.name])
    add_server_options(parser)
    for field in fields(Limits):
        flag = "--" + field.name.replace("_", "-")
        parser.add_argument(flag, metavar="N", type=int, default=field.default, help=_HELP[field.name])
    return parser


if __name__ == "__main__":
    sys.exit(main())
