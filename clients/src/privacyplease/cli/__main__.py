"""Entry point of `privacyplease` and of `python -m privacyplease.cli`."""

import os
import sys
from importlib.util import find_spec

# What the `cli` extra installs.
_REQUIRED = ("typer", "rich", "platformdirs", "psutil", "grpc_health")


def main() -> None:
    """Runs the command line and exits with its code."""
    missing = [package for package in _REQUIRED if find_spec(package) is None]
    if missing:
        sys.exit(f"error: not installed: {', '.join(missing)}\nhint: pip install 'privacyplease[cli]'")
    # gRPC's own log of connections would mix with our messages on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from privacyplease.cli.application import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
