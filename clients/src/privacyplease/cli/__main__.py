"""Entry point of `privacyplease` and of `python -m privacyplease.cli`."""

import os
import sys
from importlib.util import find_spec

_PARTS_OF_THE_EXTRA = ("typer", "rich", "platformdirs", "psutil", "grpc_health")


def main() -> None:
    """Runs the command line and exits with its code."""
    missing = [part for part in _PARTS_OF_THE_EXTRA if find_spec(part) is None]
    if missing:
        sys.exit(f"error: not installed: {', '.join(missing)}\nhint: pip install 'privacyplease[cli]'")
    # gRPC's own remarks on connections that come and go would stand between our words on stderr.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from privacyplease.cli.application import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
