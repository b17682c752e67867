"""Writes what an installation of each distribution consists of, as CycloneDX: `sbom.py dist`.

Each wheel of the folder is installed, with all that it needs, into an environment of its own, at the pinned versions.
The list of what is then there is written to `dist/sbom/NAME-VERSION.cdx.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Nothing on the untrusted server's machine could open a cell.
SERVER = "privacyplease-server"
FORBIDDEN = {"cryptography", "pyarrow", "numpy", "zstandard"}


def main() -> int:
    """Writes the lists.

    Returns:
        0 if they were written and the server's has nothing that could open a cell; 1 if it has.
    """
    folder = Path(sys.argv[1])
    (folder / "sbom").mkdir(exist_ok=True)
    for file in sorted(ROOT.glob("*/pyproject.toml")):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        target = folder / "sbom" / f"{project['name']}-{project['version']}.cdx.json"
        names = _write(file, f"{project['name']}=={project['version']}", folder, target)
        if project["name"] == SERVER and (found := names & FORBIDDEN):
            print(f"error: expected none of {', '.join(sorted(found))} on the server's machine", file=sys.stderr)
            return 1
    return 0


def _write(pyproject: Path, requirement: str, wheels: Path, target: Path) -> set[str]:
    """Writes the list of one distribution, and returns the names of its components."""
    with tempfile.TemporaryDirectory(prefix="sbom-") as environment:
        venv.create(environment, with_pip=False)
        python = str(Path(environment) / "bin" / "python")
        pip = [sys.executable, "-m", "pip", "--python", python, "--quiet", "--disable-pip-version-check", "install"]
        constraints = ["--constraint", str(ROOT / "constraints.txt"), "--find-links", str(wheels)]
        subprocess.run([*pip, *constraints, requirement], check=True)  # noqa: S603
        tool = str(Path(sys.executable).with_name("cyclonedx-py"))
        # Short identifiers: long ones name the index that a package came from.
        command = [tool, "environment", "--short-PURLs", "--output-reproducible", "--pyproject", str(pyproject)]
        subprocess.run([*command, "--output-file", str(target), python], check=True)  # noqa: S603
    return {component["name"] for component in json.loads(target.read_text())["components"]}


if __name__ == "__main__":
    sys.exit(main())
