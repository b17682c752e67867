"""The machine that runs the untrusted server holds nothing that could open a cell."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

Python = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """The interpreter of an environment that holds what the server's machine holds."""
    folder = tmp_path_factory.mktemp("server-alone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    interpreter = folder / "venv" / "bin" / "python"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Isolated (-I): neither this repository's folders nor PYTHONPATH may lend it a module.
        command = [str(interpreter), "-I", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder)

    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--quiet", "--disable-pip-version-check"]
    zones = [str(REPOSITORY / zone) for zone in ("protos", "server_untrusted")]
    command = [*pip, "install", "--no-compile", "--constraint", str(REPOSITORY / "constraints.txt"), *zones]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    return run


def test_it_runs(python: Python) -> None:
    helped = python("-m", "privacyplease.server", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "--storage" in helped.stdout


def test_a_cell_goes_in_and_comes_out(python: Python) -> None:
    program = (
        "from privacyplease.server import Limits, open_store\n"
        "from privacyplease.server.cells import Cell\n"
        "store = open_store('sqlite:///alone.db', Limits())\n"
        "cell = Cell(bytes(16), b'opaque')\n"
        "store.append([cell])\n"
        "assert list(store.select((cell.tag,))) == [cell]\n"
    )
    ran = python("-c", program)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("module", ["cryptography", "nacl", "Crypto", "pyarrow", "numpy", "pandas", "zstandard"])
def test_it_has_nothing_to_open_a_cell_with(python: Python, module: str) -> None:
    assert "ModuleNotFoundError" in python("-c", f"import {module}").stderr


@pytest.mark.parametrize("zone", ["client", "ingest", "cli", "dashboard"])
def test_no_other_zone_is_there(python: Python, zone: str) -> None:
    assert "ModuleNotFoundError" in python("-c", f"import privacyplease.{zone}").stderr


def test_of_the_proxy_only_the_public_contract_is_there(python: Python) -> None:
    program = (
        "import json, pkgutil, privacyplease, privacyplease.proxy as proxy\n"
        "names = lambda package: sorted(module.name for module in pkgutil.iter_modules(package.__path__))\n"
        "print(json.dumps([names(privacyplease), names(proxy), proxy.__file__]))\n"
    )
    zones, contents, file = json.loads(python("-c", program).stdout)
    # A namespace without code of its own: `protos` puts the contract there, and nothing else is installed.
    assert set(zones) <= {"server", "proxy", "storage"}
    assert contents == ["v1"]
    assert file is None


def test_the_contract_is_all_that_the_server_imports_of_this_project(python: Python) -> None:
    program = (
        "import sys, privacyplease.server.__main__\n"
        "print(*sorted(name for name in sys.modules if name.startswith('privacyplease.')))\n"
    )
    imported = python("-c", program).stdout.split()
    foreign = [name for name in imported if not name.startswith(("privacyplease.server", "privacyplease.storage"))]
    assert "privacyplease.server.service" in imported
    assert foreign == []
