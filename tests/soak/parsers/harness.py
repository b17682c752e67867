"""Fuzzes one target in this process until its time is up or an input breaks the contract, which ends the process.

    python -m tests.soak.parsers.harness NAME FOLDER [FLAG OF LIBFUZZER …]

The input is then in the folder `found`, and on standard error is why.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import atheris

from tests.soak.parsers.target import MIB, Parse, Target

# What is instrumented besides our own code: libraries in Python that decide what an input becomes.
LIBRARIES = ["json", "tarfile", "tomllib"]


class ContractBrokenError(Exception):
    """An input took more memory than the contract allows."""


def main() -> NoReturn:
    """Runs the target."""
    name, folder, *flags = sys.argv[1:]
    work, corpus = Path(folder, "work"), Path(folder, "corpus")
    for each in (work, corpus):
        each.mkdir(exist_ok=True)
    with atheris.instrument_imports(include=["privacyplease", *LIBRARIES]):
        from tests.soak.parsers.targets import TARGETS

        target = TARGETS[name]
        parse = target.open(work)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number:03}").write_bytes(seed)
    bounded = Contract(target, parse)
    for path in sorted(corpus.iterdir()):  # imports, caches and pools have their size before any input is measured
        found = path.rename(Path(folder, "found-seed"))
        bounded.warm(found.read_bytes())
        found.rename(path)
    limits = [f"-max_len={target.most_bytes}", f"-artifact_prefix={folder}/found-"]
    atheris.Setup([name, *limits, *flags, str(corpus)], bounded.check)
    atheris.Fuzz()
    sys.exit()


class Contract:
    """A parser that may raise only its documented errors, and take only so much memory."""

    def __init__(self, target: Target, parse: Parse) -> None:
        self._parse, self._errors, self._most = parse, target.errors(), target.most_mib

    def warm(self, data: bytes) -> None:
        """Parses without a limit."""
        with suppress(*self._errors):
            self._parse(data)

    def check(self, data: bytes) -> None:
        """Parses one input.

        Raises:
            ContractBrokenError: It took more memory than it may.
            Exception: An error that is not documented.
        """
        before = _reset_peak()
        self.warm(data)
        if (grown := _peak() - before) > self._most * MIB:
            raise ContractBrokenError(f"expected at most {self._most} MiB for {len(data):,} bytes, got {grown // MIB}")


def _reset_peak() -> int:
    """Forgets the process's peak memory; returns its memory now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024


if __name__ == "__main__":
    main()
