"""A student's folder as it is given away: for vLLM or any server that reads safetensors, and for the in-process runtime."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError, safe_open

from agents.distill.card import FIGURES, write_card
from agents.distill.usual import PHRASES
from agents.errors import DistillError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CHECKPOINT", "NOTICE", "TEMPLATE", "export"]

CHECKPOINT: Final = "checkpoint.pt"
"""What a training that is not finished leaves."""
NOTICE: Final = "NOTICE.txt"
TEMPLATE: Final = "chat_template.jinja"

_WEIGHTS: Final = "model.safetensors"
_NEEDED: Final = (
    "config.json", "generation_config.json", _WEIGHTS, "tokenizer.json", "tokenizer_config.json", PHRASES, "student.json",
)  # fmt: skip
# What `agents.prompts.Prompt.chat` sends becomes the text that the student was trained on.
_TEMPLATE: Final = (
    "{%- for message in messages -%}"
    "{%- if message.role == 'system' -%}{{ message.content + '\\n\\n' }}"
    "{%- elif message.role == 'user' -%}{{ message.content + '\\nnext: ' }}"
    "{%- else -%}{{ message.content + '\\n' }}{%- endif -%}"
    "{%- endfor -%}"
)


def export(student: Path, out: Path, *, notices: Sequence[Path] = ()) -> list[Path]:
    """Write a folder that a server serves and the in-process runtime loads.

    It has the weights, the tokenizer, their configurations, a chat template, so that it answers chats as it does completions, the
    model card with the figures that were measured, and the licence notices; and nothing that only training needs.

    Args:
        student: A folder that `nearline distill train` finished.
        out: Made; there must be nothing at its place, or an empty folder.
        notices: Files with the licence notices of the purchases and titles; without any, those that the student has.

    Returns:
        The files, sorted.

    Raises:
        DistillError: the student is not finished or not whole, a notice cannot be read, or something is at ``out``.
    """
    missing = [name for name in _NEEDED if not (student / name).is_file()]
    if missing:
        unfinished = (student / CHECKPOINT).is_file()
        raise DistillError(
            f"{student} is no finished student: {', '.join(missing)} missing.",
            way_out="Its training was interrupted; `nearline distill train` with the same pairs goes on."
            if unfinished
            else "Name a folder that `nearline distill train` wrote.",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DistillError(f"there is something at {out}.", way_out="Name a folder that is not there yet.")
    _check(student)
    texts = [_text(path) for path in notices]
    if not texts and (student / NOTICE).is_file():
        texts = [_text(student / NOTICE)]
    out.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that nobody serves half a student.
    beside = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        for name in _NEEDED:
            shutil.copyfile(student / name, beside / name)
        if (student / FIGURES).is_file():
            shutil.copyfile(student / FIGURES, beside / FIGURES)
        (beside / TEMPLATE).write_text(_TEMPLATE, encoding="utf-8")
        if texts:
            (beside / NOTICE).write_text("\n\n".join(text.strip() for text in texts) + "\n", encoding="utf-8")
        write_card(beside)
        # A server may run as somebody else.
        beside.chmod(0o755)
        if out.exists():
            out.rmdir()
        beside.rename(out)
    except OSError as error:
        raise DistillError(
            f"{out} cannot be written ({error}).", way_out="Check its disk and its rights."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return sorted(out.iterdir())


def _check(student: Path) -> None:
    """Whether weights and vocabulary belong together: what a server would say after minutes, or not at all."""
    try:
        config = json.loads((student / "config.json").read_text(encoding="utf-8"))
        pieces = len(json.loads((student / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"])
        with safe_open(student / _WEIGHTS, framework="np") as weights:
            rows = weights.get_slice("model.embed_tokens.weight").get_shape()[0]
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise DistillError(
            f"the student in {student} cannot be read ({error}).", way_out="Train it again."
        ) from error
    if not pieces <= rows == config.get("vocab_size"):
        raise DistillError(
            f"the student in {student} is not of one piece: {rows} rows of weights, {config.get('vocab_size')} by config.json.",
            way_out="Train it again.",
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DistillError(
            f"the notice {path} cannot be read ({error}).", way_out="Give a text file in UTF-8."
        ) from error
