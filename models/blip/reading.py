"""A published BLIP captioner in a folder, read without PyTorch.

The files are those of a `BlipForConditionalGeneration` on the Hugging Face Hub, such as
Salesforce/blip-image-captioning-base. Only safetensors are read: no other format of weights, and no
code of the folder.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from models.blip.config import DOWNLOAD_AGAIN, BlipConfig, read_config, read_json
from models.blip.decoder import Attention, Decoder
from models.blip.image import ImageConfig, read_image_config
from models.blip.vision import VisionBlock, vision_transformer
from models.blip.word_pieces import WordPieces
from models.checkpoint import CheckpointError

WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"

_VISION, _TEXT = "vision_model.", "text_decoder."
_WORDS = "text_decoder.bert.embeddings.word_embeddings.weight"
_OUTPUT = "text_decoder.cls.predictions"
_CONSTANTS = {
    # Older versions of the format store it.
    "text_decoder.bert.embeddings.position_ids",
    # Stored once as this and once as the bias of `decoder`.
    f"{_OUTPUT}.bias",
    f"{_OUTPUT}.decoder.bias",
}
_FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class Blip:
    """The parts of a BLIP captioner."""

    folder: Path
    config: BlipConfig
    image: ImageConfig
    decoder: Decoder
    word_pieces: WordPieces

    @cached_property
    def encoder(self) -> keras.Model:
        """The encoder, loaded on first use: see `load_encoder`."""
        return self.load_encoder()

    def load_encoder(self) -> keras.Model:
        """Load the encoder, without keeping it.

        Returns:
            A model from RGB pixels in 0..255 [B, S, S, 3] to tokens [B, 1 + N, C]: the class token,
            then the patches, row by row.

        Raises:
            CheckpointError: As `load_blip`.
        """
        with _as_checkpoint_error(self.folder):
            return _read_encoder(self.folder / WEIGHTS, self.config, self.image)

    def encoder_digest(self) -> str:
        """Return a hexadecimal SHA-256 of all that the encoder is made from.

        Raises:
            CheckpointError: If the weights cannot be read.
        """
        return self._digest(f"{self.config.vision_config} {self.image}", _VISION)

    def decoder_digest(self) -> str:
        """Return the decoder's digest, as `encoder_digest`."""
        return self._digest(f"{self.config}", _TEXT)

    def _digest(self, settings: str, part: str) -> str:
        digest = hashlib.sha256(settings.encode())
        with _as_checkpoint_error(self.folder), _open(self.folder / WEIGHTS) as file:
            for name in sorted(file.keys()):
                if name.startswith(part):
                    array = np.ascontiguousarray(file.get_tensor(name))
                    digest.update(f"{name} {array.dtype} {array.shape}".encode())
                    digest.update(array.view(np.uint8).data)
        return digest.hexdigest()


def load_blip(folder: Path) -> Blip:
    """Load a captioner, all but its encoder.

    The weights are in single precision, whatever they are stored in.

    Raises:
        CheckpointError: If a file is missing or damaged, or the files do not match. The message is
            one line that names the file and what to do.
    """
    with _as_checkpoint_error(folder):
        config = read_config(_require(folder / "config.json"))
        image = read_image_config(
            _require(folder / "preprocessor_config.json"), config.vision_config.image_size
        )
        word_pieces = WordPieces.read(
            _require(folder / "vocab.txt"),
            config.text_config,
            lower_case=_is_uncased(folder / "tokenizer_config.json"),
        )
        decoder = _read_decoder(_require(folder / WEIGHTS), config)
    return Blip(folder, config, image, decoder, word_pieces)


@contextlib.contextmanager
def _as_checkpoint_error(folder: Path) -> Iterator[None]:
    """Convert errors to those that say which captioner cannot be loaded."""
    try:
        yield
    except (OSError, ValueError) as problem:
        reason = " ".join(str(problem).split())
        raise CheckpointError(f"{folder} cannot be loaded: {reason}") from problem


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file of tensors, which is mapped: each is read when it is asked for."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as problem:
        raise ValueError(
            f"{path.name} is truncated or not a safetensors file ({problem}); {DOWNLOAD_AGAIN}"
        ) from problem


def _require(path: Path) -> Path:
    if path.is_file():
        return path
    advice = DOWNLOAD_AGAIN
    if path.name == WEIGHTS and (path.parent / _INDEX).is_file():
        advice = "weights in several files are not read, so join them into this one"
    elif path.name == WEIGHTS and (path.parent / "pytorch_model.bin").is_file():
        advice = "weights in other formats can hold code, so choose a revision with safetensors"
    raise ValueError(f"{path.name} is missing; {advice}")


def _is_uncased(path: Path) -> bool:
    return not path.is_file() or read_json(path).get("do_lower_case", True) is True


def _read_encoder(path: Path, config: BlipConfig, image: ImageConfig) -> keras.Model:
    vision = config.vision_config
    width, patch = vision.hidden_size, vision.patch_size
    scale = [image.rescale_factor / deviation for deviation in image.image_std]
    offset = [-m / d for m, d in zip(image.image_mean, image.image_std, strict=True)]
    with _open(path) as file:
        tensors = _Tensors(file, path.name, _VISION)
        # Before memory is allocated by sizes that may be wrong.
        tensors.require(f"{_VISION}embeddings.patch_embedding.weight", (width, 3, patch, patch))
        tensors.require(f"{_VISION}embeddings.position_embedding", (1, 1 + vision.side**2, width))
        for index in range(vision.num_hidden_layers):
            tensors.require(
                f"{_VISION}encoder.layers.{index}.mlp.fc1.weight", (vision.intermediate_size, width)
            )
        encoder = vision_transformer(vision, scale, offset)
        tensors.load(_vision_weights(encoder))
    return encoder


def _read_decoder(path: Path, config: BlipConfig) -> Decoder:
    text = config.text_config
    width = text.hidden_size
    with _open(path) as file:
        tensors = _Tensors(file, path.name, _TEXT)
        words = _WORDS if _WORDS in tensors else f"{_OUTPUT}.decoder.weight"
        tensors.require(words, (text.vocab_size, width))
        tensors.require(
            f"{_TEXT}bert.embeddings.position_embeddings.weight",
            (text.max_position_embeddings, width),
        )
        for index in range(text.num_hidden_layers):
            tensors.require(
                f"{_TEXT}bert.encoder.layer.{index}.intermediate.dense.weight",
                (text.intermediate_size, width),
            )
        decoder = Decoder(text, config.vision_config.hidden_size, tied=_is_tied(tensors, config))
        tensors.load(_text_weights(decoder, tensors))
    return decoder


def _is_tied(tensors: "_Tensors", config: BlipConfig) -> bool:
    """Return whether the output weights are the word embedding. The published files store both."""
    output = f"{_OUTPUT}.decoder.weight"
    if _WORDS in tensors and output in tensors:
        return np.array_equal(tensors.read(_WORDS), tensors.read(output))
    return config.tie_word_embeddings or config.text_config.tie_word_embeddings


class _Weight(NamedTuple):
    """A variable and how it is stored."""

    name: str
    variable: keras.Variable
    axes: tuple[int, ...] | None = None
    """How the stored array is transposed."""


class _Tensors:
    """The tensors of a file, and which of them were used."""

    def __init__(self, file: Any, name: str, part: str) -> None:
        """Read the tensors whose names begin with `part`."""
        self._file, self._name = file, name
        self._names = frozenset(file.keys())
        self._unread = {name for name in self._names if name.startswith(part)} - _CONSTANTS

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def require(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless there is a tensor of this name and shape."""
        self._check_stored(name)
        found = tuple(self._file.get_slice(name).get_shape())
        if found != shape:
            raise ValueError(
                f"{name} has shape {found} in {self._name}, but config.json requires {shape}; "
                f"{DOWNLOAD_AGAIN}"
            )

    def read(self, name: str) -> NDArray[np.float32]:
        """Read a tensor in single precision."""
        self._check_stored(name)
        self._unread.discard(name)
        if (kind := self._file.get_slice(name).get_dtype()) not in _FLOATS:
            raise ValueError(
                f"{name} in {self._name} is stored as {kind}; use a model whose weights are not "
                "quantized"
            )
        return np.asarray(self._file.get_tensor(name), np.float32)

    def load(self, weights: Iterator[_Weight]) -> None:
        """Read the values of variables, one by one, so that the file is never in memory twice.

        Raises:
            ValueError: If there are others, which the configuration does not mention.
        """
        for weight in weights:
            self._load(weight)
        if self._unread:
            raise ValueError(
                f"{self._name} has {min(self._unread)}, which config.json does not mention; "
                f"{DOWNLOAD_AGAIN}"
            )

    def _load(self, weight: _Weight) -> None:
        shape = tuple(weight.variable.shape)
        axes = weight.axes or tuple(range(len(shape)))
        self.require(weight.name, tuple(shape[axes.index(axis)] for axis in range(len(shape))))
        array = self.read(weight.name).transpose(axes)
        if not np.isfinite(array).all():
            raise ValueError(
                f"{weight.name} in {self._name} has values that are not finite numbers; use "
                "another revision of the model"
            )
        weight.variable.assign(array)

    def _check_stored(self, name: str) -> None:
        if name not in self._names:
            raise ValueError(
                f"{self._name} has no {name}, which config.json requires; {DOWNLOAD_AGAIN}"
            )


def _vision_weights(encoder: keras.Model) -> Iterator[_Weight]:
    part = "vision_model"
    embedding = encoder.get_layer("embedding")
    yield _Weight(f"{part}.embeddings.class_embedding", embedding.class_token)
    yield _Weight(f"{part}.embeddings.position_embedding", embedding.positions)
    patches = encoder.get_layer("patches")
    yield _Weight(f"{part}.embeddings.patch_embedding.weight", patches.kernel, (2, 3, 1, 0))
    yield _Weight(f"{part}.embeddings.patch_embedding.bias", patches.bias)
    yield from _norm(f"{part}.post_layernorm", encoder.get_layer("norm"))
    blocks = [layer for layer in encoder.layers if isinstance(layer, VisionBlock)]
    for index, block in enumerate(blocks):
        stored = f"{part}.encoder.layers.{index}"
        yield from _norm(f"{stored}.layer_norm1", block.norm1)
        yield from _norm(f"{stored}.layer_norm2", block.norm2)
        yield from _dense(f"{stored}.self_attn.qkv", block.qkv)
        yield from _dense(f"{stored}.self_attn.projection", block.project)
        yield from _dense(f"{stored}.mlp.fc1", block.expand)
        yield from _dense(f"{stored}.mlp.fc2", block.contract)


def _text_weights(decoder: Decoder, tensors: _Tensors) -> Iterator[_Weight]:
    part, output = "text_decoder.bert", f"{_OUTPUT}.decoder"
    # Of two that are tied, one may be left out.
    words = _WORDS if _WORDS in tensors else f"{output}.weight"
    bias = f"{output}.bias" if f"{output}.bias" in tensors else f"{_OUTPUT}.bias"
    yield _Weight(words, decoder.words)
    if decoder.output_words is not decoder.words:
        yield _Weight(f"{output}.weight", decoder.output_words)
    yield _Weight(bias, decoder.output_bias)
    yield _Weight(f"{part}.embeddings.position_embeddings.weight", decoder.positions)
    yield from _norm(f"{part}.embeddings.LayerNorm", decoder.embedding_norm)
    yield from _dense(f"{_OUTPUT}.transform.dense", decoder.transform)
    yield from _norm(f"{_OUTPUT}.transform.LayerNorm", decoder.transform_norm)
    for index, block in enumerate(decoder.blocks):
        stored = f"{part}.encoder.layer.{index}"
        yield from _attention(f"{stored}.attention", block.attention)
        yield from _norm(f"{stored}.attention.output.LayerNorm", block.attention_norm)
        yield from _attention(f"{stored}.crossattention", block.cross_attention)
        yield from _norm(f"{stored}.crossattention.output.LayerNorm", block.cross_attention_norm)
        yield from _dense(f"{stored}.intermediate.dense", block.expand)
        yield from _dense(f"{stored}.output.dense", block.contract)
        yield from _norm(f"{stored}.output.LayerNorm", block.norm)


def _attention(name: str, attention: Attention) -> Iterator[_Weight]:
    yield from _dense(f"{name}.self.query", attention.query)
    yield from _dense(f"{name}.self.key", attention.key)
    yield from _dense(f"{name}.self.value", attention.value)
    yield from _dense(f"{name}.output.dense", attention.output_projection)


def _dense(name: str, layer: keras.layers.Dense) -> Iterator[_Weight]:
    yield _Weight(f"{name}.weight", layer.kernel, (1, 0))
    yield _Weight(f"{name}.bias", layer.bias)


def _norm(name: str, layer: keras.layers.LayerNormalization) -> Iterator[_Weight]:
    yield _Weight(f"{name}.weight", layer.gamma)
    yield _Weight(f"{name}.bias", layer.beta)
