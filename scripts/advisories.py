"""Compares the pins of constraints.txt with the advisories that the package index publishes, by pip-audit.

An index that publishes none, as a mirror may, leaves the pins unchecked; it says so, which is no clean bill.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PINS = Path(__file__).parents[1] / "constraints.txt"


def main() -> int:
    """Checks.

    Returns:
        0 if pins were checked and none has an advisory; 1 if one has; 2 if nothing could be checked.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(PINS), "--no-deps", "--disable-pip"]
    audited = subprocess.run([*command, "--format", "json"], check=False, capture_output=True, text=True)  # noqa: S603
    try:
        dependencies = json.loads(audited.stdout)["dependencies"]
    except (ValueError, KeyError):
        print("error: expected advisories from the package index, got none: nothing was checked", file=sys.stderr)
        return 2
    unchecked, known = sorted_out(dependencies)
    for line in known:
        print(line)
    checked = len(dependencies) - unchecked
    print(f"{checked:,} of {len(dependencies):,} pins checked, {len(known):,} advisories")
    if not checked:
        print("error: expected an index that publishes advisories, got one without", file=sys.stderr)
        return 2
    return 1 if known else 0


def sorted_out(dependencies: Sequence[Mapping[str, object]]) -> tuple[int, list[str]]:
    """How many pins could not be checked, and a line for each advisory of the others.

    >>> sorted_out([{"name": "a", "skip_reason": "unknown"}, {"name": "b", "version": "1", "vulns": [{"id": "X-1"}]}])
    (1, ['b 1: X-1'])
    """
    lines = []
    for dependency in dependencies:
        vulnerabilities: Sequence[Mapping[str, object]] = dependency.get("vulns", [])  # type: ignore[assignment]
        lines += [f"{dependency['name']} {dependency['version']}: {each['id']}" for each in vulnerabilities]
    return sum("skip_reason" in dependency for dependency in dependencies), lines


if __name__ == "__main__":
    sys.exit(main())
