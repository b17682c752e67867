"""The report, in Markdown."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from attacks.results import MUST, Results, failures
from attacks.rows import HIDDEN, SHOWN, Row
from attacks.scores import SURE, Fit

__all__ = ["CONTROLS", "written"]

CONTROLS = ("deterministic", "bins")

_TITLE = """\
# Attacks

Written by `make attacks`; do not edit. An attacker sees all that the storage server sees of a simulated fortnight,
knows last week's profile of every place and device, is told the truth about half of the questions, and guesses the
rest. [`attacks/DESIGN.md`](../../attacks/DESIGN.md) says who that is, how each attack works and what the controls
are."""

_HIDDEN = f"""\
## What must stay hidden

*Chance* is what the best guess without a trace comes to. **Bold** figures are those of controls: there an attack
must be right in {MUST:.0%} of cases, or its failing on the product would mean nothing. The last column says
*learned*, and by which attack, where the probability of the product's figure, by luck alone, is below {SURE:.1%}."""

_SHOWN = """\
## What is learned

By design the server sees that something came and how much of it, and about which stretch of time a question is, to the
width of a segment. What kind a question is may show, for long counts read roll-ups."""

_PEOPLE = """\
### People in the building

How many people were in the building in each hour of the second week, guessed from how much came in (from the
deterministic store: from the order of its ciphertexts). r is Pearson's correlation with the truth, the error the
median of the relative errors. Last week's profile alone is what chance is here, and is wrong about a holiday."""

_VOLUME = """\
### Arrival volume

How much came in each hour, in bytes (rows, where the server sees rows), beside how many sessions were logged in it.
A live feed shows this unless `cover` sends the same amount at a fixed rate, records or not. (Over 48 hours, an r
between -0.28 and 0.28 is noise.)"""


def written(results: Mapping[str, Results], covered: float | None, cover: str, hours: int) -> str:
    """The report.

    Args:
        results: By name: `product` and the controls.
        covered: Pearson's r of arrivals with cover; None if the product has none.
        cover: The rate of the cover.
        hours: Of how many hours that is.
    """
    parts = [
        *(_TITLE, _verdict(results), _run(results["product"])),
        *(_HIDDEN, _table(HIDDEN, results), _SHOWN, _table(SHOWN, results)),
        *(_PEOPLE, _people(results), _VOLUME, _volume(results, covered, cover, hours)),
    ]
    return "\n\n".join(parts) + "\n"


def _verdict(results: Mapping[str, Results]) -> str:
    """What the report comes to."""
    learned = [row.title for row in HIDDEN if results["product"].scores[row.title].learned]
    weak = [failure for name in CONTROLS for failure in failures(name, results[name])]
    found = f"it learned: {'; '.join(learned)}" if learned else "it did no better than chance at any of them"
    controls = f"Controls do not hold: {'; '.join(weak)}." if weak else "The same attacks succeeded on every control."
    return f"**Of {len(HIDDEN)} things that must stay hidden in the product, {found}. {controls}**"


def _table(rows: Iterable[Row], results: Mapping[str, Results]) -> str:
    lines = [
        "| guessed | guesses | chance | control: deterministic | control: bins | the product | |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(row, results) for row in rows)])


def _line(row: Row, results: Mapping[str, Results]) -> str:
    product, recorded = (results[name].scores[row.title] for name in ("product", "bins"))
    chances = list(dict.fromkeys((f"{product.chance:.1%}", f"{recorded.chance:.1%} (bins)")))
    chance = chances[0] if f"{chances[0]} (bins)" == chances[1] else ", ".join(chances)
    controls = (_shown(results[name].scores[row.title].success, bold=name in row.controls) for name in CONTROLS)
    verdict = f"learned ({product.attack})" if product.learned else "chance"
    cells = [row.title, f"{product.of:,}", chance, *controls, f"{product.success:.1%}", verdict]
    return f"| {' | '.join(cells)} |"


def _people(results: Mapping[str, Results]) -> str:
    lines = ["| | r | error |", "|---|---|---|"]
    lines.append(_fitted("last week's profile alone", results["product"].profile))
    lines += [_fitted(f"control: {name}", results[name].people) for name in CONTROLS]
    return "\n".join([*lines, _fitted("the product", results["product"].people)])


def _volume(results: Mapping[str, Results], covered: float | None, cover: str, hours: int) -> str:
    lines = ["| | hours | r |", "|---|---|---|"]
    lines += [f"| control: {name} | 168 | {results[name].volume:.2f} |" for name in CONTROLS]
    lines.append(f"| the product | 168 | {results['product'].volume:.2f} |")
    told = "this build has no `cover`" if covered is None else f"{covered:.2f}"
    return "\n".join([*lines, f'| the product, `cover = "{cover}"` | {hours} | {told} |'])


def _fitted(what: str, of: Fit) -> str:
    return f"| {what} | {of.r:.2f} | {of.error:.0%} |"


def _shown(share: float, *, bold: bool) -> str:
    return f"**{share:.1%}**" if bold else f"{share:.1%}"


def _run(product: Results) -> str:
    """When and where, and how much there was to see."""
    described = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    commit = subprocess.run(described, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit}, Python {platform.python_version()}"
    memory = f"{product.unseen:,} of {product.questions:,} questions were answered from the proxy's memory"
    return f"*{when}. The server saw {product.calls:,} calls; {memory}.*"
