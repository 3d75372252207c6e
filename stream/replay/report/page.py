"""The page: everything that a difference says, as HTML that can be mailed, kept, or opened on a phone."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nearline import written_whole
from stream.replay.comparing.golden import run_at
from stream.replay.errors import RunError
from stream.replay.report.plots import bars, columns, curve
from stream.replay.report.side_by_side import shoppers_of

if TYPE_CHECKING:
    from typing import Any

    from stream.replay.comparing.difference import Difference, Side
    from stream.replay.report.plots import Bar
    from stream.replay.run import Run

__all__ = ["check_place", "write_report"]

_HERE = Path(__file__).parent
_SHOWN_CONTROL = 0x2400
_HASH = 16
_STAGES = {"prepare": "profiles", "infer": "demands", "recall": "recall and ranking"}


class Figure(NamedTuple):
    """One of the figures at the top: what it is, its value, and what to read it by."""

    name: str
    value: str
    beside: str = ""


def check_place(path: Path) -> None:
    """Return if a report can be written to ``path``.

    Raises:
        RunError: its folder is not there.
    """
    if not path.absolute().parent.is_dir():
        raise RunError(f"{path}: its folder does not exist.", way_out="Create it first.")


def write_report(found: Difference, one: Path, other: Path, path: Path) -> None:
    """Write the page.

    Args:
        found: the difference.
        one: folder of the first run, ``other`` of the second: the chains of the most changed shoppers are read there.
        other: see ``one``.
        path: the file.

    Raises:
        RunError: a run cannot be read, or the file cannot be written.
    """
    check_place(path)
    page = _environment().get_template("page.html").render(_context(found, one, other))
    try:
        with written_whole(path) as beside:
            beside.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error}.", way_out="Choose another place.") from error


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"plain": plain, "when": when, "span": span, "percent": percent, "count": count}
    return environment


def _context(found: Difference, one: Path, other: Path) -> dict[str, Any]:
    runs = (run_at(one), run_at(other))
    names = tuple(side.name for side in found.sides)
    if names[0] == names[1]:
        names = (f"{names[0]} (first)", f"{names[1]} (second)")
    over = found.over_time
    highest = max((*over.first, *over.second), default=0)
    return {
        "found": found,
        "names": names,
        "made": made_by(runs),
        "capture": Path(runs[1].told.capture).name,
        "events": runs[0].events,
        "figures": _figures(found),
        "different": [name for name, same in found.same.items() if not same and name != "all"],
        "rules": [(change, _stack(change.both, change.gained, change.lost)) for change in found.rules],
        "spread": columns(found.agreement.spread),
        "curves": (curve(over.first, highest), curve(over.second, highest)),
        "highest": highest,
        "until": over.start + over.step * len(over.first),
        "rungs": bars(_pairs(found, lambda side: side.rungs)),
        "hits": _hits(found),
        "acted": sum(found.sides[0].acts.values()),
        "categories": bars({one.category or "none": (one.first, one.second) for one in found.categories}),
        "stages": bars(
            {
                told: (found.sides[0].seconds.get(stage, 0.0), found.sides[1].seconds.get(stage, 0.0))
                for stage, told in _STAGES.items()
            }
        ),
        "shoppers": shoppers_of(found, one, other),
        "hours": f"{found.horizon_s / 3600:g} h",
    }


def made_by(runs: tuple[Run, Run]) -> list[tuple[str, str, str]]:
    """How each run was made: what, first, second."""
    told = [run.told for run in runs]
    rows = [
        ("rules", *(one.rules for one in told)),
        ("prompt", *(one.prompt for one in told)),
        ("model", *(one.model for one in told)),
        ("catalogue", *(one.index for one in told)),
        ("encoder", *(one.encoder for one in told)),
        ("cassette", *(one.cassette for one in told)),
        ("replayed", *(run.made_at for run in runs)),
        ("hash", *(run.hashes.all[:_HASH] for run in runs)),
    ]
    return [(name, one, other) for name, one, other in rows if one or other]


def _figures(found: Difference) -> list[Figure]:
    one, other = found.sides
    both = sum(change.both for change in found.rules)
    gained, lost = (sum(getattr(change, name) for change in found.rules) for name in ("gained", "lost"))
    figures = [Figure("triggers in both", f"{both:,}", f"{gained:,} gained, {lost:,} lost")]
    agreement = found.agreement
    if agreement.slates:
        figures += [
            Figure("overlap of the first 20", percent(agreement.overlap[20]), "means over slates in both"),
            Figure(
                "the very same slate", percent(agreement.same / agreement.slates), f"of {agreement.slates:,}"
            ),
            Figure(
                "Kendall's tau",
                "none" if agreement.kendall is None else f"{agreement.kendall:.2f}",
                "" if agreement.rbo is None else f"rank-biased overlap {agreement.rbo:.2f}",
            ),
        ]
    for kind, acts in one.acts.items():
        before, after = one.hits.get(kind, 0), other.hits.get(kind, 0)
        figures.append(
            Figure(
                f"{kind}s hit", f"{before:,} → {after:,}", f"of {acts:,} within {found.horizon_s / 3600:g} h"
            )
        )
    return figures


def _stack(both: int, gained: int, lost: int) -> tuple[float, float, float]:
    """Shares of all triggers of a rule, 0 to 100."""
    total = max(both + gained + lost, 1)
    return 100 * lost / total, 100 * both / total, 100 * gained / total


def _pairs(found: Difference, of: Any) -> dict[str, tuple[float, float]]:
    one, other = (of(side) for side in found.sides)
    return {name: (one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}


def _hits(found: Difference) -> list[Bar]:
    def share(side: Side, kind: str, depth: int) -> float:
        return 100 * side.hits_at[depth].get(kind, 0) / max(side.acts.get(kind, 0), 1)

    one, other = found.sides
    return bars(
        {
            f"{kind}s, first {depth}": (share(one, kind, depth), share(other, kind, depth))
            for kind in one.acts
            for depth in sorted(one.hits_at)
        }
    )


def plain(text: str) -> str:
    """Text with its control and direction marks made visible: they may not act on the page."""
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    kind = unicodedata.category(letter)
    if letter == "\n" or kind not in {"Cc", "Cf", "Cs"}:
        return letter
    return chr(_SHOWN_CONTROL + ord(letter)) if ord(letter) < 0x20 else "\ufffd"


def when(ts: int) -> str:
    """A time in ms, UTC."""
    return f"{datetime.fromtimestamp(ts / 1000, UTC):%Y-%m-%d %H:%M}"


def span(ms: int) -> str:
    """A length of time in its two largest units."""
    seconds = round(ms / 1000)
    for unit, size, smaller, below in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = seconds % size // below
            return f"{seconds // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def percent(share: float | None) -> str:
    """A share of 1 as percent; ``none`` where there is none."""
    return "none" if share is None else f"{share:.1%}"


def count(number: float) -> str:
    """A number with its thousands apart; two digits behind the point where it has a fraction."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,.2f}"
