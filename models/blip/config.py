"""The architecture of a BLIP captioner, as its published `config.json` states it.

Li et al., "BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language
Understanding and Generation" (ICML 2022). A key that is missing has the default of the published
format.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

MODEL_TYPE = "blip"
"""`model_type` in the `config.json` of every BLIP model."""

ARCHITECTURE = "BlipForConditionalGeneration"
"""`architectures` of the models that caption; others answer questions or retrieve images."""

DOWNLOAD_AGAIN = "download the whole model again"
"""What to do about files that are damaged or do not match."""

_Parsed = TypeVar("_Parsed")
_Count = Annotated[int, Field(ge=1)]
_Token = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class VisionConfig:
    """The vision transformer."""

    hidden_size: _Count = 768
    intermediate_size: _Count = 3072
    num_hidden_layers: _Count = 12
    num_attention_heads: _Count = 12
    image_size: _Count = 384
    """Side of the square input, in pixels."""
    patch_size: _Count = 16
    hidden_act: Literal["gelu"] = "gelu"
    layer_norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        _check_heads(self.hidden_size, self.num_attention_heads)
        if self.image_size < self.patch_size:
            raise ValueError(
                f"patch_size {self.patch_size} is larger than image_size {self.image_size}"
            )

    @property
    def side(self) -> int:
        """Patches in a row, and in a column."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, slots=True)
class TextConfig:
    """The text decoder, and how it generates."""

    vocab_size: _Count = 30524
    hidden_size: _Count = 768
    intermediate_size: _Count = 3072
    num_hidden_layers: _Count = 12
    num_attention_heads: _Count = 8
    max_position_embeddings: _Count = 512
    hidden_act: Literal["gelu"] = "gelu"
    layer_norm_eps: float = 1e-12
    bos_token_id: _Token = 30522
    """[DEC], which every caption starts with."""
    sep_token_id: _Token = 102
    """[SEP], which ends a caption."""
    pad_token_id: Literal[0] = 0
    """As in `models.language.PAD`."""
    tie_word_embeddings: bool = True

    def __post_init__(self) -> None:
        _check_heads(self.hidden_size, self.num_attention_heads)
        for name in ("bos_token_id", "sep_token_id", "pad_token_id"):
            if getattr(self, name) >= self.vocab_size:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, but vocab_size is {self.vocab_size}"
                )
        if len({self.bos_token_id, self.sep_token_id, self.pad_token_id}) < 3:
            raise ValueError("bos_token_id, sep_token_id and pad_token_id must differ")


@dataclass(frozen=True, slots=True)
class BlipConfig:
    """A BLIP captioner."""

    text_config: TextConfig
    vision_config: VisionConfig
    tie_word_embeddings: bool = True


def read_config(path: Path) -> BlipConfig:
    """Read a `config.json`.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not the configuration of a BLIP captioner.
    """
    values = read_json(path)
    kind = values.get("model_type")
    if kind != MODEL_TYPE:
        raise ValueError(f"{path.name} is of a model of type {kind}, not of type {MODEL_TYPE}")
    architecture = ", ".join(map(str, values.get("architectures") or [ARCHITECTURE]))
    if architecture != ARCHITECTURE:
        raise ValueError(
            f"{path.name} is of {architecture}, which does not caption images; use a model whose "
            f"architecture is {ARCHITECTURE}"
        )
    return parse(BlipConfig, values, path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it holds no JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise ValueError(
            f"{path.name} is truncated or not JSON ({problem}); {DOWNLOAD_AGAIN}"
        ) from problem
    if not isinstance(values, dict):
        raise ValueError(f"{path.name} holds no JSON object; {DOWNLOAD_AGAIN}")
    return values


def parse(kind: type[_Parsed], values: dict[str, Any], path: Path) -> _Parsed:
    """Convert a file's values to a dataclass; keys that it does not have are ignored.

    Raises:
        ValueError: If a value is not valid.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{path.name}: {place}: {first['msg']}; {DOWNLOAD_AGAIN}") from problem


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        raise ValueError(f"hidden_size {width} is not divisible by num_attention_heads {heads}")
