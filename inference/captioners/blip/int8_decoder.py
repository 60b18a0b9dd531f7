"""BLIP's text decoder in LiteRT, with 8-bit weights, as far as the search needs it.

A step of the search reads all of the decoder's weights for a few tokens, so it takes as long as
reading memory does: 8-bit weights take a quarter of it. Weights alone are quantized (dynamic-range
quantization), each output channel with its own scale; the word embedding that tokens are read with
stays in float32.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from inference.captioners.blip.conversion import cached_parts
from models.blip import (
    Blip,
    Cache,
    KeysValues,
    Memory,
    SearchConfig,
    search_with,
)
from models.captioner import BeamCaption
from models.graph import graph

Array = NDArray[np.float32]

_LAYERS = 2
"""Layers of each part of the converted decoder."""
_POSITION = (1, 1)
"""Shape of the input that states the position, which alone is of integers."""
_FORMAT = 1
"""Of cached conversions: to be raised if the decoder's layers or the file's format change."""


class Int8Decoder:
    """Projects the image's tokens and searches, for one image at a time.

    The parts are: the projection of the image's tokens, `_LAYERS` layers each, the logits.
    """

    def __init__(self, blip: Blip, captions: int, length: int, threads: int) -> None:
        """Load the converted decoder from the cache, or convert it.

        Args:
            blip: The captioner.
            captions: How many captions can be read at once; the widest beam.
            length: The most tokens that are read of a caption.
            threads: How many threads it runs in.

        Raises:
            models.checkpoint.CheckpointError: If the weights cannot be read.
        """
        self._decoder, self._length = blip.decoder, length
        digest = blip.decoder_digest()[:32]
        name = f"blip-decoder-{digest}-{captions}-{length}-{_FORMAT}-{tf.__version__}.int8"
        models = cached_parts(name, lambda: _convert(blip, captions, length))
        self._projection, *self._layers, self._logits = (_Part(each, threads) for each in models)

    def project(self, encodings: Array) -> Memory:
        """Project images' tokens [B, N, C]; see `Decoder.build_memory`."""
        images = []
        for encoding in encodings:
            self._projection.set(0, [encoding[None]])
            images.append(self._projection.run())
        # Tensors, so that none of those who read it copies it.
        return _pairs([tf.concat(each, axis=0) for each in zip(*images, strict=True)])

    def searcher(self, config: SearchConfig) -> Callable[[Memory], BeamCaption]:
        """Return a search that is compiled at its first call; see `beam_search`."""
        run = graph(lambda: self._search(config), input_signature=[])

        def search(memory: Memory) -> BeamCaption:
            found = []
            for index in range(len(memory[0].keys)):
                self._read(memory, index)
                found.append(run())
            return BeamCaption(*(np.concatenate(each) for each in zip(*found, strict=True)))

        return search

    def _read(self, memory: Memory, image: int) -> None:
        """Set the memory that the next search reads: that of one of the images."""
        arrays = [np.asarray(each[image : image + 1]) for pair in memory for each in pair]
        for index, layers in enumerate(self._layers):
            layers.set(2, _part_of(arrays, index))

    def _search(self, config: SearchConfig) -> BeamCaption:
        text = self._decoder.config
        depth = text.hidden_size // text.num_attention_heads
        shape = (1, config.width, text.num_attention_heads)
        empty = KeysValues(
            tf.zeros((*shape, depth, self._length)), tf.zeros((*shape, self._length, depth))
        )
        return search_with(self._predict, (empty,) * text.num_hidden_layers, text, config)

    def _predict(self, tokens: tf.Tensor, position: tf.Tensor, cache: Cache) -> Any:
        """Return the logits [1, K, V], and the cache with the tokens [1, K] added."""
        arrays = [each for pair in cache for each in pair]
        inputs = [self._decoder.embed(tokens, position), tf.reshape(position, _POSITION), *arrays]
        outputs = [tf.float32] * (1 + len(arrays))
        logits, *extended = tf.numpy_function(self._step, inputs, outputs)
        logits.set_shape((*tokens.shape, self._decoder.config.vocab_size))
        for before, after in zip(arrays, extended, strict=True):
            after.set_shape(before.shape)
        return logits, _pairs(extended)

    def _step(self, x: Array, position: NDArray[np.int32], *cache: Array) -> list[Array]:
        captions, extended = x.shape[1], []
        for index, layers in enumerate(self._layers):
            past = _part_of(cache, index)
            layers.set(0, [x, position])
            layers.set(2 + len(past), past)
            x, *new = layers.run(captions)
            extended += new
        self._logits.set(0, [x])
        return [*self._logits.run(captions), *extended]


class _Part:
    """A converted part of the decoder."""

    def __init__(self, model: bytes, threads: int) -> None:
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        # Both are in the order of the function that was converted.
        self._inputs = [each["index"] for each in self._interpreter.get_input_details()]
        self._outputs = [each["index"] for each in self._interpreter.get_output_details()]

    def set(self, first: int, values: Sequence[NDArray[Any]]) -> None:
        """Set inputs, which keep their values until they are set again.

        Of the captions, axis 1, only the first are set if there are fewer values.
        """
        for index, value in zip(self._inputs[first:], values, strict=False):
            self._interpreter.tensor(index)()[:, : value.shape[1]] = value

    def run(self, captions: int | None = None) -> list[Array]:
        """Return the outputs, of the first captions alone."""
        self._interpreter.invoke()
        return [self._interpreter.tensor(index)()[:, :captions].copy() for index in self._outputs]


def _convert(blip: Blip, captions: int, length: int) -> Iterator[bytes]:
    decoder, text = blip.decoder, blip.config.text_config
    vision = blip.config.vision_config
    width, heads = text.hidden_size, text.num_attention_heads
    depth, count = width // heads, 1 + vision.side**2
    yield _convert_part(decoder.build_memory, [(1, count, vision.hidden_size)])
    x = (1, captions, width)
    image = [(1, heads, depth, count), (1, heads, count, depth)]
    past = [(1, captions, heads, depth, length), (1, captions, heads, length, depth)]
    for start in range(0, len(decoder.blocks), _LAYERS):
        blocks = decoder.blocks[start : start + _LAYERS]

        def read(
            x: tf.Tensor, position: tf.Tensor, *arrays: tf.Tensor, blocks: Any = blocks
        ) -> list[tf.Tensor]:
            pairs, extended = _pairs(arrays), []
            images, texts = pairs[: len(blocks)], pairs[len(blocks) :]
            for block, image, past in zip(blocks, images, texts, strict=True):
                x, text = block.step(x, position[0], past, image)
                extended += text
            return [x, *extended]

        yield _convert_part(read, [x, _POSITION, *(image * len(blocks)), *(past * len(blocks))])
    yield _convert_part(decoder.logits, [x])


def _convert_part(function: Callable[..., Any], shapes: Sequence[tuple[int, ...]]) -> bytes:
    types = (tf.int32 if shape == _POSITION else tf.float32 for shape in shapes)
    specs = [tf.TensorSpec(*each) for each in zip(shapes, types, strict=True)]
    run = graph(function, input_signature=specs).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([run])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _part_of(arrays: Sequence[Array], index: int) -> Sequence[Array]:
    """Return the keys and values of one part's layers, of those of all layers."""
    return arrays[2 * _LAYERS * index :][: 2 * _LAYERS]


def _pairs(arrays: Sequence[Any]) -> Memory:
    """Return the keys and values of each layer of an alternating sequence."""
    return tuple(KeysValues(*arrays[at : at + 2]) for at in range(0, len(arrays), 2))
