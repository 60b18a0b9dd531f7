"""The hardened model and its control, as they run beside a captioner."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from inference.captioners.lstm.decoding import CompiledDecoder
from inference.captioning.model import Array
from models.captioner import BeamCaption
from models.graph import graph
from models.hardening import Student

Encode = Callable[[NDArray[np.uint8 | np.float32]], Array]


class SharedDecoder:
    """One compiled decoder for several models, whose weights it takes in turn.

    Compiling takes seconds, and assigning the weights a few milliseconds.
    """

    def __init__(self, compiled: CompiledDecoder, student: Student) -> None:
        """Share the compiled decoder of a student."""
        self._compiled, self._weights = compiled, student.decoder.weights
        self._current: list[Array] | None = None

    def use(self, weights: list[Array]) -> CompiledDecoder:
        """Return the decoder, with these weights."""
        if self._current is not weights:
            for variable, value in zip(self._weights, weights, strict=True):
                variable.assign(value)
            self._current = weights
        return self._compiled


class StudentModel:
    """A student of a captioner."""

    def __init__(self, student: Student, decoder: SharedDecoder, encode: Encode) -> None:
        """Prepare to run a student.

        Args:
            student: The student.
            decoder: Runs its decoder.
            encode: Runs its encoder.
        """
        self._decoder = decoder
        self._weights = [np.array(weight) for weight in student.decoder.weights]
        self.encode_pixels = encode

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:
        """See `SecondModel.search`."""
        return self._decoder.use(self._weights).search(encodings, beam_width)

    def rescore(self, encodings: Array, captions: Sequence[Sequence[int]]) -> BeamCaption:
        """See `SecondModel.rescore`."""
        return self._decoder.use(self._weights).rescore(encodings, captions)


def compile_encoders(students: Sequence[Student]) -> list[Encode]:
    """Return functions that run the encoders of students, all of whose heads are the same.

    The head, which is most of the encoder, is compiled once.
    """
    head = _compiled(students[0].head)
    return [_chain(head, _compiled(student.tail)) for student in students]


def _chain(head: Callable[[Any], Any], tail: Callable[[Any], Any]) -> Encode:
    return lambda pixels: np.asarray(tail(head(pixels.astype(np.float32))))


def _compiled(part: keras.Model) -> Callable[[Any], Any]:
    compiled: Callable[[Any], Any] = graph(
        lambda inputs: part(inputs, training=False), reduce_retracing=True
    )
    return compiled
