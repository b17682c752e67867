"""The report, in Markdown."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from attacks.results import MUST, AttackResults, failures
from attacks.rows import HIDDEN, SHOWN, ReportRow
from attacks.scores import SURE, Fit

__all__ = ["CONTROLS", "written"]

CONTROLS = ("deterministic", "bins")

_TITLE = """\
# Attacks

Written by `make attacks`; do not edit. An attacker sees everything that the storage server sees of a simulated
fortnight, knows last week's profile of every place and device and the truth about half of the questions, and guesses
the rest. [`attacks/DESIGN.md`](../../attacks/DESIGN.md) describes the attacker, the attacks and the controls."""

_HIDDEN = f"""\
## What must stay hidden

*Chance* is the success of the best guess without a trace. **Bold** figures are controls: there an attack must be
right in {MUST:.0%} of cases, or its failure on the product would mean nothing. The last column says *learned*, and by
which attack, if the probability of reaching the product's figure by chance is below {SURE:.1%}."""

_SHOWN = """\
## What is learned

By design the server sees when records arrive and how many, and which stretch of time a question is about, to the
width of a segment. The kind of a question may be visible, since long counts read roll-ups."""

_PEOPLE = """\
### People in the building

How many people were in the building in each hour of the second week, guessed from the volume of arrivals (for the
deterministic store: from the order of its ciphertexts). r is Pearson's correlation with the truth; the error is the
median of the relative errors. Last week's profile by itself is the baseline; it is wrong about a holiday."""

_VOLUME = """\
### Arrival volume

How much arrived in each hour, in bytes (in rows, where the server sees rows), compared with the number of sessions
logged in it. A live feed reveals this unless `cover` sends the same amount at a fixed rate, with or without records.
(Over 48 hours, an r between -0.28 and 0.28 is noise.)"""


def written(results: Mapping[str, AttackResults], covered: float | None, cover: str, hours: int) -> str:
    """The report.

    Args:
        results: By name: `product` and the controls.
        covered: Pearson's r of arrivals with cover; None if the product has no cover.
        cover: The rate of the cover.
        hours: How many hours it covers.
    """
    parts = [
        *(_TITLE, _verdict(results), _run(results["product"])),
        *(_HIDDEN, _table(HIDDEN, results), _SHOWN, _table(SHOWN, results)),
        *(_PEOPLE, _people(results), _VOLUME, _volume(results, covered, cover, hours)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(results: Mapping[str, AttackResults]) -> str:
    """The summary."""
    learned = [row.title for row in HIDDEN if results["product"].scores[row.title].learned]
    weak = [failure for name in CONTROLS for failure in failures(name, results[name])]
    number = len(HIDDEN)
    outcome = (
        f"The attacker learned, of {number} things that must stay hidden in the product: {'; '.join(learned)}."
        if learned
        else f"The attacker did no better than chance at any of {number} things that must stay hidden in the product."
    )
    controls = f"Controls failed: {'; '.join(weak)}." if weak else "The same attacks succeeded on every control."
    return f"**{outcome}\n{controls}**"


def _table(rows: Iterable[ReportRow], results: Mapping[str, AttackResults]) -> str:
    lines = [
        "| guessed | guesses | chance | control: deterministic | control: bins | the product | |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(row, results) for row in rows)])


def _line(row: ReportRow, results: Mapping[str, AttackResults]) -> str:
    product, recorded = (results[name].scores[row.title] for name in ("product", "bins"))
    chances = list(dict.fromkeys((f"{product.chance:.1%}", f"{recorded.chance:.1%} (bins)")))
    chance = chances[0] if f"{chances[0]} (bins)" == chances[1] else ", ".join(chances)
    controls = (_shown(results[name].scores[row.title].success, bold=name in row.controls) for name in CONTROLS)
    verdict = f"learned ({product.attack})" if product.learned else "chance"
    cells = [row.title, f"{product.of:,}", chance, *controls, f"{product.success:.1%}", verdict]
    return f"| {' | '.join(cells)} |"


def _people(results: Mapping[str, AttackResults]) -> str:
    lines = ["| | r | error |", "|---|---|---|"]
    lines.append(_fitted("last week's profile by itself", results["product"].profile))
    lines += [_fitted(f"control: {name}", results[name].people) for name in CONTROLS]
    return "\n".join([*lines, _fitted("the product", results["product"].people)])


def _volume(results: Mapping[str, AttackResults], covered: float | None, cover: str, hours: int) -> str:
    lines = ["| | hours | r |", "|---|---|---|"]
    lines += [f"| control: {name} | 168 | {results[name].volume:.2f} |" for name in CONTROLS]
    lines.append(f"| the product | 168 | {results['product'].volume:.2f} |")
    shown = "this build has no `cover`" if covered is None else f"{covered:.2f}"
    return "\n".join([*lines, f'| the product, `cover = "{cover}"` | {hours} | {shown} |'])


def _fitted(title: str, fit: Fit) -> str:
    return f"| {title} | {fit.r:.2f} | {fit.error:.0%} |"


def _shown(share: float, *, bold: bool) -> str:
    return f"**{share:.1%}**" if bold else f"{share:.1%}"


def _run(product: AttackResults) -> str:
    """When it was made, from which version, and how much the server saw."""
    described = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(described, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, Python {platform.python_version()}"
    cached = f"{product.unseen:,} of {product.questions:,} questions were answered from the proxy's cell cache"
    return f"*{when}.\nThe server saw {product.calls:,} calls; {cached}.*"
