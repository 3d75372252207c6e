"""Which runtime answers where the settings leave it open: the student where it knows the shop, else the in-process model."""

from __future__ import annotations

import importlib.util
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.distill.form import phrases
from agents.errors import ModelError
from agents.settings import AgentSettings, RuntimeKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.settings import StudentSettings

__all__ = ["known_share", "settled", "student_folder", "with_runtime"]

_PACKAGED: Final = Path(__file__).parent / "student" / "packaged"
# A shop is known by the titles of its catalogue; so many of them say enough.
_LOOKED_AT: Final = 2_000
_LEAST: Final = 0.5


def settled(settings: AgentSettings, titles: Iterable[str]) -> AgentSettings:
    """The settings with the runtime decided where they say ``auto``; others come back as they are.

    A student that is named is taken; else a packaged one that knows half of the titles; else the in-process model.

    Args:
        settings: As configured.
        titles: The shop's short titles; the first two thousand are looked at.
    """
    if settings.runtime is not RuntimeKind.AUTO:
        return settings
    chosen = RuntimeKind.LOCAL
    if importlib.util.find_spec("torch") is not None and (
        settings.student.model or _of_shop(tuple(islice(titles, _LOOKED_AT))) is not None
    ):
        chosen = RuntimeKind.STUDENT
    return with_runtime(settings, chosen)


def with_runtime(settings: AgentSettings, runtime: RuntimeKind) -> AgentSettings:
    """The settings with another runtime, and with its defaults where they say nothing else."""
    return AgentSettings.model_validate({**settings.said(), "runtime": runtime})


def student_folder(settings: StudentSettings, titles: tuple[str, ...]) -> Path:
    """The folder of the student that is named, or of the packaged one that knows the shop.

    Raises:
        ModelError: none is named, and no packaged one knows half of the titles.
    """
    if settings.model:
        return Path(settings.model).expanduser()
    folder = _of_shop(titles[:_LOOKED_AT])
    if folder is None:
        packaged = ", ".join(one.name for one in _packaged()) or "none"
        raise ModelError(
            f"no student is named, and no packaged one ({packaged}) knows this catalogue's titles.",
            way_out="Set agents.student.model to a folder that `nearline distill train` wrote.",
        )
    return folder


def known_share(folder: Path, titles: Iterable[str]) -> float:
    """Which share of the titles' phrases a student was trained on; 0 without a title."""
    try:
        rows = (folder / "phrases.tsv").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0.0
    known = {row.partition("\t")[0] for row in rows}
    asked = phrases(titles)
    return sum(phrase in known for phrase in asked) / max(1, len(asked))


def _of_shop(titles: tuple[str, ...]) -> Path | None:
    shares = [(known_share(folder, titles), folder) for folder in _packaged()]
    share, folder = max(shares, default=(0.0, None), key=lambda one: one[0])
    return folder if share >= _LEAST else None


def _packaged() -> list[Path]:
    return sorted(one for one in _PACKAGED.glob("*") if (one / "student.json").is_file())
