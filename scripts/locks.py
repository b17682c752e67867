"""Fails if locks/ does not agree with constraints.txt and the distributions. With --write it makes it anew.

A lock lists all that an installation of one distribution takes from elsewhere, as `pip install --require-hashes` reads
it: names, versions and the SHA-256 of each file that a supported platform may get, and no address of an index.

What pip would install is asked of pip itself (`pip install --dry-run --report`), for each platform in turn.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCKS = ROOT / "locks"

PYTHONS = ("3.11", "3.12", "3.13")
# Linux with glibc 2.28 or newer. An older tag in the name of a wheel fits too.
MACHINES = ("x86_64", "aarch64")
GLIBCS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_24", "manylinux_2_17", "manylinux2014")

_OURS = re.compile(r"privacyplease(?:-(\w+))?(?:\[([\w,]+)\])?(?:==.*)?")
_PIN = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")
_ENTRY = re.compile(r"([a-z0-9.-]+)==([^\s;]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")

Hashes = dict[str, set[str]]


def main() -> int:
    """Checks, or writes.

    Returns:
        0 if the locks agree, or were written; 1 if one does not agree.
    """
    projects = {path.parent.name: path for path in sorted(ROOT.glob("*/pyproject.toml"))}
    loaded = {name: tomllib.loads(path.read_text(encoding="utf-8"))["project"] for name, path in projects.items()}
    by_name = {project["name"]: project for project in loaded.values()}
    if "--write" in sys.argv:
        LOCKS.mkdir(exist_ok=True)
        for name in by_name:
            (LOCKS / f"{name}.txt").write_text(rendered(_resolved(needed(name, by_name))), encoding="utf-8")
    pins = pinned((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    faults = [fault for name in by_name for fault in _faults(name, needed(name, by_name), pins)]
    for fault in faults:
        print(f"error: {fault}", file=sys.stderr)
    if faults:
        print("hint: make locks", file=sys.stderr)
    return 1 if faults else 0


def needed(name: str, projects: Mapping[str, Mapping[str, object]], extras: tuple[str, ...] = ()) -> set[str]:
    """What a distribution needs from elsewhere, itself and by others of ours."""
    project = projects[name]
    optional = project.get("optional-dependencies", {})
    direct: list[str] = [*project.get("dependencies", [])]  # type: ignore[misc]
    for extra in extras:
        direct += optional[extra]  # type: ignore[index]
    found: set[str] = set()
    for requirement in direct:
        if ours := _OURS.fullmatch(requirement):
            other = f"privacyplease-{ours[1]}" if ours[1] else "privacyplease"
            found |= needed(other, projects, tuple(filter(None, (ours[2] or "").split(","))))
        else:
            found.add(requirement)
    return found


def pinned(constraints: str) -> dict[str, str]:
    r"""The version of each package, by its normalized name.

    >>> pinned("# comment\nPyMySQL==1.2.4\n")
    {'pymysql': '1.2.4'}
    """
    return {_normal(match[1]): match[2] for match in map(_PIN.fullmatch, constraints.splitlines()) if match}


def rendered(hashes: Hashes) -> str:
    r"""A lock.

    >>> print(rendered({"a==1": {"0" * 64}}), end="")
    a==1 \
        --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000
    """
    return "".join(
        " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(digests))]) + "\n"
        for pin, digests in sorted(hashes.items())
    )


def faults_of(lock: str, pins: Mapping[str, str], names: set[str]) -> Iterator[str]:
    """What is wrong with a lock.

    Args:
        lock: Its text.
        pins: The version of each package.
        names: Normalized names of the packages that it must have.
    """
    if _ENTRY.sub("", lock):
        yield "expected only names, versions and SHA-256 hashes"
    entries = {match[1]: match[2] for match in _ENTRY.finditer(lock)}
    for name, version in entries.items():
        if pins.get(name) != version:
            yield f"{name}: expected version {pins.get(name, 'in constraints.txt, got none')}, got {version}"
    yield from (f"expected {name}, got none" for name in sorted(names - entries.keys()))


def _faults(name: str, requirements: set[str], pins: Mapping[str, str]) -> Iterator[str]:
    file = LOCKS / f"{name}.txt"
    if not file.exists():
        yield f"expected {file.relative_to(ROOT)}, got none"
        return
    names = {_normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}
    yield from (f"{file.relative_to(ROOT)}: {fault}" for fault in faults_of(file.read_text("utf-8"), pins, names))


def _resolved(requirements: set[str]) -> Hashes:
    """The files that an installation gets, on each platform in turn."""
    resolved: list[Hashes] = [
        _reported(sorted(requirements), python, machine) for python in PYTHONS for machine in MACHINES
    ]
    merged: Hashes = {}
    for each in resolved:
        for pin, digests in each.items():
            merged.setdefault(pin, set()).update(digests)
    if different := sorted({pin for pin in merged for each in resolved if pin not in each}):
        raise SystemExit(f"error: expected the same packages on all platforms, got {', '.join(different)} on some")
    return merged


def _reported(requirements: list[str], python: str, machine: str) -> Hashes:
    with tempfile.TemporaryDirectory(prefix="locks-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--dry-run"]
        command += ["--ignore-installed", "--only-binary=:all:", "--target", folder, "--report", str(report)]
        command += ["--implementation", "cp", "--python-version", python]
        command += [f"--platform={glibc}_{machine}" for glibc in GLIBCS]
        command += ["--constraint", str(ROOT / "constraints.txt"), *requirements]
        subprocess.run(command, check=True)  # noqa: S603
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        f"{_normal(item['metadata']['name'])}=={item['metadata']['version']}": {
            item["download_info"]["archive_info"]["hashes"]["sha256"]
        }
        for item in items
    }


def _normal(name: str) -> str:
    """A name as packages are compared by (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
