"""A BLIP checkpoint of full size with random weights: as slow as a published one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

_TEXT = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
_VISION = {
    "base": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12},
    "large": {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16},
}
SIZES = tuple(_VISION)
"""The sizes that are published."""

_IMAGE, _PATCH, _VOCABULARY, _POSITIONS = 384, 16, 30524, 512
_END = 102
_NEVER = -1e4
"""Bias of the end token: all captions have the same length."""


def write_random_checkpoint(folder: Path, size: str) -> None:
    """Write a checkpoint of one of `SIZES` whose captions never end."""
    vision = _VISION[size] | {"intermediate_size": 4 * _VISION[size]["hidden_size"]}
    text = _TEXT | {"intermediate_size": 4 * _TEXT["hidden_size"], "vocab_size": _VOCABULARY}
    config = {
        "architectures": ["BlipForConditionalGeneration"],
        "model_type": "blip",
        "text_config": text,
        "vision_config": vision | {"image_size": _IMAGE, "patch_size": _PATCH},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"size": {"height": _IMAGE, "width": _IMAGE}})
    )
    pieces = ["[PAD]", *(f"word{index}" for index in range(1, _VOCABULARY - 2))]
    pieces[100:103] = ["[UNK]", "[CLS]", "[SEP]"]
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces))
    random = np.random.default_rng(0)
    shapes = dict(_shapes(vision, text))
    weights = {name: _make(random, name, shape) for name, shape in shapes.items()}
    weights["text_decoder.cls.predictions.bias"][_END] = _NEVER
    save_file(weights, folder / "model.safetensors", {"format": "pt"})


def _make(random: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    values = random.standard_normal(shape, np.float32)
    if "norm" in name.lower() and name.endswith("weight"):
        return 1 + np.float32(0.1) * values
    if len(shape) == 1:
        return np.float32(0.1) * values
    if "embedding" in name and "patch" not in name:
        return np.float32(0.1) * values
    return np.float32(1.5 * np.prod(shape[1:]) ** -0.5) * values


def _shapes(vision: dict[str, int], text: dict[str, int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    width, hidden = vision["hidden_size"], vision["intermediate_size"]
    yield "vision_model.embeddings.class_embedding", (1, 1, width)
    count = (_IMAGE // _PATCH) ** 2
    yield "vision_model.embeddings.position_embedding", (1, 1 + count, width)
    yield "vision_model.embeddings.patch_embedding.weight", (width, 3, _PATCH, _PATCH)
    yield "vision_model.embeddings.patch_embedding.bias", (width,)
    yield from _pair("vision_model.post_layernorm", width)
    for index in range(vision["num_hidden_layers"]):
        layer = f"vision_model.encoder.layers.{index}"
        yield from _pair(f"{layer}.layer_norm1", width)
        yield from _pair(f"{layer}.layer_norm2", width)
        yield from _pair(f"{layer}.self_attn.qkv", 3 * width, width)
        yield from _pair(f"{layer}.self_attn.projection", width, width)
        yield from _pair(f"{layer}.mlp.fc1", hidden, width)
        yield from _pair(f"{layer}.mlp.fc2", width, hidden)
    channels, width, hidden = width, text["hidden_size"], text["intermediate_size"]
    bert, predictions = "text_decoder.bert", "text_decoder.cls.predictions"
    yield f"{bert}.embeddings.word_embeddings.weight", (_VOCABULARY, width)
    yield f"{bert}.embeddings.position_embeddings.weight", (_POSITIONS, width)
    yield from _pair(f"{bert}.embeddings.LayerNorm", width)
    yield from _pair(f"{predictions}.transform.dense", width, width)
    yield from _pair(f"{predictions}.transform.LayerNorm", width)
    yield f"{predictions}.bias", (_VOCABULARY,)
    for index in range(text["num_hidden_layers"]):
        layer = f"{bert}.encoder.layer.{index}"
        for attention, inputs in (("attention", width), ("crossattention", channels)):
            yield from _pair(f"{layer}.{attention}.self.query", width, width)
            yield from _pair(f"{layer}.{attention}.self.key", width, inputs)
            yield from _pair(f"{layer}.{attention}.self.value", width, inputs)
            yield from _pair(f"{layer}.{attention}.output.dense", width, width)
            yield from _pair(f"{layer}.{attention}.output.LayerNorm", width)
        yield from _pair(f"{layer}.intermediate.dense", hidden, width)
        yield from _pair(f"{layer}.output.dense", width, hidden)
        yield from _pair(f"{layer}.output.LayerNorm", width)


def _pair(name: str, *shape: int) -> Iterator[tuple[str, Any]]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]
