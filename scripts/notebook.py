"""Runs docs/notebook.py against a simulated campus, and writes it with its output to docs/notebook.ipynb.

Run by `make notebook`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.services.stack import stack  # noqa: E402

SOURCE = ROOT / "docs" / "notebook.py"
CAMPUS = ("--devices", "500", "--places", "40", "--days", "7", "--start", "2024-09-30", "--seed", "1")


def main() -> None:
    """Runs and writes the notebook."""
    with tempfile.TemporaryDirectory() as folder, stack(f"sqlite:///{folder}/cells.db") as running:
        running.command("simulate", *CAMPUS, "-o", f"{folder}/campus.csv")
        running.command("ingest", "wifi", f"{folder}/campus.csv")
        os.environ["PRIVACYPLEASE_PROXY"] = running.proxy
        os.environ["PRIVACYPLEASE_CERTIFICATES"] = str(running.certificates)
        notebook = jupytext.read(SOURCE)
        NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False).execute()
    nbformat.write(notebook, SOURCE.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
