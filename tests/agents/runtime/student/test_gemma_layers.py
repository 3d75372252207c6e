"""The layers of a Gemma 3 against those of transformers."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from agents.errors import ModelError  # noqa: E402
from agents.runtime.student.gemma_layers import GemmaLayers  # noqa: E402
from agents.runtime.student.layers import Layers  # noqa: E402

_TEXTS = [[3, 5, 7, 11], [2, 4], [6, 8, 10, 12, 14, 16]]


@pytest.fixture(scope="module")
def model() -> object:
    torch.manual_seed(0)
    config = transformers.Gemma3TextConfig(
        vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=16, max_position_embeddings=64, sliding_window=32,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
        attn_implementation="eager",
    )  # fmt: skip
    made = transformers.Gemma3ForCausalLM(config).eval().float()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0.0, 0.3)
    return made


def _of(model: object) -> GemmaLayers:
    return GemmaLayers(model.config.to_dict(), model.state_dict())  # type: ignore[attr-defined]


def _expected(model: object, ids: list[int]) -> np.ndarray:
    with torch.inference_mode():
        return model(torch.tensor([ids])).logits[0, -1].numpy()  # type: ignore[operator,no-any-return]


def test_texts_of_several_lengths_are_read_as_transformers_reads_each_alone(model: object) -> None:
    layers = _of(model)
    with torch.inference_mode():
        _, hidden = layers.read(_TEXTS)
        logits = (hidden @ layers.head.T).numpy()
    for text, found in zip(_TEXTS, logits, strict=True):
        np.testing.assert_allclose(found, _expected(model, text), atol=2e-4)


def test_what_is_read_on_follows_from_what_was_read(model: object) -> None:
    layers = _of(model)
    with torch.inference_mode():
        read, _ = layers.read(_TEXTS)
        base = read.columns
        sees = np.zeros((3, 1, base + 1), dtype=bool)
        for row, text in enumerate(_TEXTS):
            sees[row, 0, : len(text)] = True
            sees[row, 0, base] = True
        lengths = np.array([len(text) for text in _TEXTS])
        nothing = np.zeros(3, dtype=np.int64)
        hidden = layers.go_on(read, np.array([9, 9, 9]), np.arange(3), nothing, lengths, sees)
        logits = (hidden @ layers.head.T).numpy()
    for text, found in zip(_TEXTS, logits, strict=True):
        np.testing.assert_allclose(found, _expected(model, [*text, 9]), atol=2e-4)


def test_no_text_is_longer_than_the_window(model: object) -> None:
    assert _of(model).longest == 32


def test_what_is_built_otherwise_is_refused(model: object) -> None:
    config = model.config.to_dict()  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="built otherwise"):
        GemmaLayers({**config, "final_logit_softcapping": 30.0}, model.state_dict())  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="plain Llama"):
        Layers(config, model.state_dict())  # type: ignore[attr-defined]
