"""Fails if the wheels and source distributions in a folder do not hold what they should: `check_packages.py dist`.

There is a wheel and a source distribution of each folder with a `pyproject.toml`. A wheel has every file of its `src`
and no other, each module in a package that is marked as typed, and the licence; both have the version of VERSION.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Checks.

    Returns:
        0 if all are as they should be; 1 if one is not.
    """
    folder = Path(sys.argv[1])
    version = (ROOT / "VERSION").read_text(encoding="utf-8").strip()
    faults = [fault for file in sorted(ROOT.glob("*/pyproject.toml")) for fault in _faults(file, folder, version)]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _faults(pyproject: Path, folder: Path, version: str) -> Iterator[str]:
    name = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["name"].replace("-", "_")
    wheel, source = folder / f"{name}-{version}-py3-none-any.whl", folder / f"{name}-{version}.tar.gz"
    for file, faults in ((wheel, _faults_of_wheel), (source, _faults_of_source)):
        if not file.exists():
            yield f"expected {file.name}, got none"
        else:
            yield from (f"{file.name}: {fault}" for fault in faults(file, pyproject.parent))


def _faults_of_wheel(wheel: Path, distribution: Path) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as archive:
        names = {PurePosixPath(name) for name in archive.namelist()}
    metadata = {name for name in names if name.parts[0].endswith(".dist-info")}
    command = ["git", "ls-files"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True, cwd=distribution / "src")  # noqa: S603
    expected = {PurePosixPath(line) for line in tracked.stdout.splitlines()}
    yield from (f"expected {name}, got none" for name in sorted(expected - names))
    yield from (f"expected no {name}" for name in sorted(names - metadata - expected))
    if not any(name.match("licenses/LICENSE") for name in metadata):
        yield "expected the licence, got none"
    typed = {name.parent for name in names if name.name == "py.typed"}
    untyped = [name for name in names - metadata if name.suffix == ".py" and typed.isdisjoint(name.parents)]
    yield from (f"expected a py.typed above {name}, got none" for name in sorted(untyped))


def _faults_of_source(source: Path, _distribution: Path) -> Iterator[str]:
    with tarfile.open(source) as archive:
        names = {PurePosixPath(*PurePosixPath(name).parts[1:]) for name in archive.getnames()}
    required = {PurePosixPath("LICENSE"), PurePosixPath("pyproject.toml")}
    yield from (f"expected {name}, got none" for name in sorted(required - names))
    yield from (f"expected no {name}" for name in names if "tests" in name.parts or "__pycache__" in name.parts)


if __name__ == "__main__":
    sys.exit(main())
