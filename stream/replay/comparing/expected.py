"""A capture replayed and held against its golden: the regression test behind the fixture ``assert_same_slates``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from stream.replay.comparing.chains import chains_of, titles_of
from stream.replay.comparing.diff import compare
from stream.replay.comparing.distances import breaches
from stream.replay.comparing.golden import read_golden, write_golden
from stream.replay.errors import RunError
from stream.replay.replaying import replay
from stream.replay.report import write_report

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stream.replay.comparing.difference import Difference
    from stream.replay.comparing.distances import Breach
    from stream.replay.replaying import Setup, Wish
    from stream.replay.run import Run

__all__ = ["Outcome", "check", "told"]

_SHOPPERS = 3
_ITEMS = 5


class Outcome(NamedTuple):
    """What a check came to: the difference, what is too far off, and the page that shows it (None where nothing is)."""

    difference: Difference
    breaches: list[Breach]
    page: Path | None


def check(
    setup: Setup,
    wish: Wish,
    golden: Path,
    *,
    tolerances: Mapping[str, float] | None = None,
    horizon_s: float = 86_400.0,
    update: bool = False,
) -> Outcome:
    """Replay a capture and hold it against its golden.

    Args:
        setup: settings to replay under.
        wish: what to replay; its run is kept there, beside it the page of the difference where there is one.
        golden: the file.
        tolerances: how far each metric may be off; see :func:`stream.replay.comparing.distances.breaches`.
        horizon_s: how long after a trigger clicks and orders count.
        update: write the golden from this replay first.

    Raises:
        NearlineError: the capture cannot be replayed, or there is no golden, or it is of another capture.
    """
    if not update:
        read_golden(golden)  # before the work, not after
    run: Run = asyncio.run(replay(setup, wish))
    if update:
        write_golden(wish.run, golden)
    expected, _ = read_golden(golden)
    if expected.told.capture_sha256 != run.told.capture_sha256:
        raise RunError(
            f"{golden} is of another capture than {wish.capture}.",
            way_out="Restore the capture, or write the golden anew: pytest --update-goldens.",
        )
    found = compare(golden, wish.run, horizon_s=horizon_s)
    wrong = breaches(found, tolerances)
    page = wish.run.with_name("difference.html") if wrong else None
    if page is not None:
        write_report(found, golden, wish.run, page)
    return Outcome(found, wrong, page)


def told(outcome: Outcome, golden: Path, run: Path) -> str:
    """Why a check failed, in a few lines: the metrics, the rules, the most changed shoppers."""
    found = outcome.difference
    lines = [f"The slates are not those of {golden}:", *(f"  {one}" for one in outcome.breaches)]
    lines += [
        f"  rule {change.rule}: {change.lost} triggers lost, {change.gained} gained, {change.both} in both"
        for change in found.rules
        if change.lost or change.gained
    ]
    for who in found.shoppers[:_SHOPPERS]:
        lines.append(f"  {who.user}, changed by {who.change:.0%}:")
        for side, folder in zip(("golden", "now"), (golden, run), strict=True):
            place = who.places[side == "now"]
            chains = chains_of(folder, [place] if place is not None else [])
            for chain in chains.values():
                items = [one.item for one in chain.slate[:_ITEMS]]
                titles = titles_of(run, items)
                shown = "; ".join(titles.get(item, (item, ""))[0] for item in items)
                wanted = ", ".join(one.query for one in chain.demands)
                lines.append(f"    {side:6} [{chain.rung}] {wanted or 'no demand'} -> {shown or 'nothing'}")
    lines += [
        f"All of it: {outcome.page}",
        "Where this is what was meant: pytest --update-goldens, and look at what changed in the golden.",
    ]
    return "\n".join(lines)
