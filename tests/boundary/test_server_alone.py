"""A machine with only the storage server's distributions has nothing that could open a cell."""

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
    """The interpreter of an environment with exactly what is installed on the server's machine."""
    folder = tmp_path_factory.mktemp("server-alone")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    interpreter = folder / "venv" / "bin" / "python"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Isolated (-I): no module comes from this repository's folders or from PYTHONPATH.
        command = [str(interpreter), "-I", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=folder)

    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "--quiet", "--disable-pip-version-check"]
    zones = [str(REPOSITORY / zone) for zone in ("protos", "transport", "server_untrusted")]
    command = [*pip, "install", "--no-compile", "--constraint", str(REPOSITORY / "constraints.txt"), *zones]
    installed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr
    return run


def test_the_server_runs(python: Python) -> None:
    helped = python("-m", "privacyplease.server", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "--storage" in helped.stdout


def test_a_cell_is_stored_and_read_back(python: Python) -> None:
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
def test_no_library_that_could_open_a_cell_is_installed(python: Python, module: str) -> None:
    assert "ModuleNotFoundError" in python("-c", f"import {module}").stderr


@pytest.mark.parametrize("zone", ["client", "ingest", "cli", "dashboard"])
def test_no_other_zone_is_installed(python: Python, zone: str) -> None:
    assert "ModuleNotFoundError" in python("-c", f"import privacyplease.{zone}").stderr


def test_only_the_public_contract_of_the_proxy_is_installed(python: Python) -> None:
    program = (
        "import json, pkgutil, privacyplease, privacyplease.proxy as proxy\n"
        "names = lambda package: sorted(module.name for module in pkgutil.iter_modules(package.__path__))\n"
        "print(json.dumps([names(privacyplease), names(proxy), proxy.__file__]))\n"
    )
    zones, contents, file = json.loads(python("-c", program).stdout)
    # A namespace package without code: `protos` installs the contract into it, and nothing else is there.
    assert set(zones) <= {"server", "proxy", "storage", "transport"}
    assert contents == ["v1"]
    assert file is None


def test_the_server_imports_only_its_contract_and_transport(python: Python) -> None:
    program = (
        "import sys, privacyplease.server.__main__\n"
        "print(*sorted(name for name in sys.modules if name.startswith('privacyplease.')))\n"
    )
    imported = python("-c", program).stdout.split()
    own = ("privacyplease.server", "privacyplease.storage", "privacyplease.transport")
    foreign = [name for name in imported if not name.startswith(own)]
    assert "privacyplease.server.service" in imported
    assert foreign == []


def test_transport_depends_only_on_grpc(python: Python) -> None:
    program = "import importlib.metadata as m, json; print(json.dumps(m.requires('privacyplease-transport')))"
    required = json.loads(python("-c", program).stdout)
    assert sorted(requirement.split(">")[0] for requirement in required) == ["grpcio", "grpcio-status"]
