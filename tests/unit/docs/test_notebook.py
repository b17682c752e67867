"""The notebook shows what its script says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[3] / "docs"


def test_the_notebook_was_made_of_the_script_as_it_is() -> None:
    cells = [cell for cell in _cells() if cell["cell_type"] == "code"]
    parts = DOCS.joinpath("notebook.py").read_text().split("# %%")
    code = [part.strip() for part in parts if part.strip() and not part.startswith(" [markdown]")]
    assert ["".join(cell["source"]) for cell in cells] == code


def test_every_cell_ran_and_none_failed() -> None:
    outputs = [output for cell in _cells() for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert all(cell["execution_count"] for cell in _cells() if cell["cell_type"] == "code")


def test_the_notebook_is_small() -> None:
    assert DOCS.joinpath("notebook.ipynb").stat().st_size < 300_000


def _cells() -> list[dict[str, Any]]:
    return json.loads(DOCS.joinpath("notebook.ipynb").read_text())["cells"]
