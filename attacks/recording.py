"""A recording: a trace, what was public, and the truth, on which attacks can be replayed.

::

    folder/
    ├── trace.jsonl.gz     what the storage server saw, a call a line
    ├── public.json.gz     last week's profile
    ├── truth.json.gz      what was asked, and what happened in the second week
    └── groups.json.gz     the group of each place and each device
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from attacks.campus import GroundTruth, Knowledge
from attacks.questions import About, ScenarioQuestion
from attacks.trace import CallTrace, read_lines, write_lines

PLACE_GROUPS, DEVICE_GROUPS = 4, 8  # as many as the two indexes of the recorded control have bins

Groups = Mapping[str, int]


@dataclass(frozen=True)
class Recording:
    """What happened during a fortnight.

    Attributes:
        trace: What the storage server saw.
        knowledge: What is public.
        truth: What is to be guessed.
        groups: The group of each place and device: its bin in a store that has bins, else as `groups` divides them.
        groups_known: Whether the attacker knows the groups. In a store that has bins they are secret.
    """

    trace: CallTrace
    knowledge: Knowledge
    truth: GroundTruth
    groups: Groups
    groups_known: bool

    def write(self, folder: Path) -> None:
        """Writes the recording; the same recording gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.trace.write(folder / "trace.jsonl.gz")
        _write(folder / "public.json.gz", asdict(self.knowledge))
        _write(folder / "truth.json.gz", asdict(self.truth))
        _write(folder / "groups.json.gz", {"told": self.groups_known, "of": dict(self.groups)})

    @classmethod
    def read(cls, folder: Path) -> Recording:
        """Reads what `write` wrote."""
        public, truth, groups = (_read(folder / f"{name}.json.gz") for name in ("public", "truth", "groups"))
        questions = [
            ScenarioQuestion(**{**fields, "about": About(fields["about"])}) for fields in truth.pop("questions")
        ]
        return cls(
            CallTrace.read(folder / "trace.jsonl.gz"),
            Knowledge(**_arrays(public, "place_hours", "device_days", "people")),
            GroundTruth(questions, **_arrays(truth, "place_hours", "people")),
            groups["of"],
            groups["told"],
        )


def groups(knowledge: Knowledge) -> dict[str, int]:
    """A public division of places and devices, for stores that have none: equally busy groups, by last week."""
    return _divided(knowledge.places, knowledge.place_hours, PLACE_GROUPS) | _divided(
        knowledge.devices, knowledge.device_days, DEVICE_GROUPS
    )


def _divided(names: list[str], profile: np.ndarray, number: int) -> dict[str, int]:
    """The busiest names go to one group each, the next ones to the groups in reverse order, and so on."""
    ranked = np.argsort(-profile.sum(axis=1), kind="stable").tolist()
    turns = [*range(number), *reversed(range(number))]
    return {names[number]: turns[rank % len(turns)] for rank, number in enumerate(ranked)}


def _write(file: Path, values: dict[str, Any]) -> None:
    write_lines(file, [json.dumps(values, default=_listed, separators=(",", ":"))])


def _read(file: Path) -> dict[str, Any]:
    [line] = read_lines(file)
    values: dict[str, Any] = json.loads(line)
    return values


def _listed(value: Any) -> Any:  # noqa: ANN401 (json's hook)
    return value.tolist() if isinstance(value, np.ndarray) else value


def _arrays(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return values | {name: np.array(values[name], np.int64) for name in names}
