"""What the verbs that measure slates have in common: their options, and telling how far the ranker's training is."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents import AgentSettings

__all__ = ["AsJson", "Catalog", "Cutoff", "Events", "Seed", "Student", "agents_of", "of_training", "telling"]

Events = Annotated[
    Path,
    typer.Option(help="Purchases: a CSV file of Online Retail, or events as .jsonl, .jsonl.gz, .parquet."),
]
Cutoff = Annotated[str, typer.Option(help="Day (2011-09-01, 00:00 UTC) that ends the history.")]
Catalog = Annotated[
    Path | None, typer.Option(help="Titles and categories of the items in a file of one's own events.")
]
Student = Annotated[
    Path | None, typer.Option(help="A student's folder; without it the runtime of the settings writes.")
]
Seed = Annotated[int, typer.Option(help="Of the resampling for confidence intervals.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@contextmanager
def telling(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A status line on the terminal while something takes its time; with ``quiet`` what is told goes nowhere."""
    from rich.status import Status  # noqa: PLC0415

    from console.output import console  # noqa: PLC0415

    if quiet:
        yield lambda _: None
        return
    with Status("", console=console) as status:
        yield status.update


def of_training(tell: Callable[[str], None]) -> Callable[[int, int], None]:
    """Tells of the ranker's training what `index.ranking.learned` reports: moments done, of how many."""

    def told(done: int, whole: int) -> None:
        tell(f"fused: learning from earlier moments {done}/{whole}")

    return told


def agents_of(configured: AgentSettings, student: Path | None, queries: int | None = None) -> AgentSettings:
    """The settings of who writes demands: the student that is named, or whoever is configured.

    Args:
        configured: Of the configuration.
        student: As `Student`; a student takes its own prompt and room, whatever the configuration says of another model's.
        queries: Most demands of a student for a shopper; as students have them if not given.
    """
    from agents.settings import AgentSettings, RuntimeKind  # noqa: PLC0415

    if student is None:
        return configured
    own = configured.student.model_copy(update={"model": str(student)})
    said = {"runtime": RuntimeKind.STUDENT, "student": own}
    return AgentSettings.model_validate(said if queries is None else {**said, "queries": queries})
