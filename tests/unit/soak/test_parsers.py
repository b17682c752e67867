"""What reads bytes from outside keeps its contract, on valid and changed inputs and on a second of others."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.soak.parsers.targets import TARGETS

fuzzed = pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")

# Every target once, in a process of its own: some change the modules that they test, and a parser may end its process.
REPLAY = """
import random, sys, tempfile
from contextlib import suppress
from pathlib import Path
from tests.soak.parsers.targets import TARGETS

target = TARGETS[sys.argv[1]]
with tempfile.TemporaryDirectory() as folder:
    parse = target.open(Path(folder))
    chance = random.Random(7)
    for seed in target.seeds():
        for number in range(4):
            changed = bytearray(seed)
            for _ in range(number if seed else 0):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            with suppress(*target.errors()):
                parse(bytes(changed))
"""


@pytest.mark.parametrize("name", TARGETS)
def test_only_documented_errors_come_out_of_a_parser(name: str) -> None:
    replayed = subprocess.run([sys.executable, "-c", REPLAY, name], check=False, capture_output=True, text=True)
    assert not replayed.returncode, replayed.stderr


@fuzzed
@pytest.mark.slow
@pytest.mark.parametrize("name", ["json-lines", "storage requests"])
def test_a_second_of_fuzzing_finds_nothing(name: str) -> None:
    seed = str(random.SystemRandom().randrange(1, 1 << 31))
    command = [sys.executable, "-m", "tests.soak.parsers", "1", "--only", name, "--processes", "1", "--seed", seed]
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    assert run.stdout.endswith("0 faults\n"), run.stdout + run.stderr


BROKEN = """
import sys
from tests.soak.parsers import harness, targets

targets.TARGETS["addresses"] = targets.TARGETS["addresses"]._replace(errors=lambda: ())
sys.argv = ["harness", "addresses", sys.argv[1], "-runs=1000"]
harness.main()
"""


@fuzzed
@pytest.mark.slow
def test_an_input_that_breaks_the_contract_ends_the_run_and_is_kept(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", BROKEN, str(tmp_path)], check=False, capture_output=True, text=True)
    assert run.returncode
    assert "ValueError: expected HOST:PORT" in run.stdout + run.stderr
    assert list(tmp_path.glob("found-*"))
