"""The encoder through LiteRT, whose XNNPACK kernels serve one picture faster than TensorFlow's.

Google, "LiteRT" (ai.google.dev/edge/litert), once TensorFlow Lite. The weights are the Keras
encoder's, with each batch normalisation folded into the convolution before it.

Converted encoders, kept in the user's cache folder.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from models.graph import graph

logger = logging.getLogger(__name__)

_KEPT = 4
"""Files, those that were used last; each is as large as its encoder's weights."""

_DIGEST = hashlib.sha256


class LiteEncoder:
    """A converted encoder, ready to run."""

    def __init__(self, model: bytes, threads: int) -> None:
        """Load what `convert` returned, to run in so many threads."""
        self._interpreter = Interpreter(model_content=model, num_threads=threads)
        self._interpreter.allocate_tensors()
        (pixels,) = self._interpreter.get_input_details()
        (grid,) = self._interpreter.get_output_details()
        self._pixels, self._grid = pixels["index"], grid["index"]

    def __call__(self, pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        """Compute grids.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3], S the encoder's own.

        Returns:
            float32 [B, rows, columns, channels].
        """
        # One after the other: a batch takes as long, and would need its own working memory.
        return np.concatenate([self._run(picture[None]) for picture in pixels])

    def _run(self, picture: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._pixels, picture.astype(np.float32, copy=False))
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._grid))


def lite_encoder(encoder: keras.Model, threads: int) -> LiteEncoder:
    """Convert an encoder in single precision, or take its conversion from the cache."""
    name = f"{encoder.name}-{identity(encoder)[:32]}.float32"
    return LiteEncoder(converted(name, lambda: bytes(converter(encoder).convert())), threads)


def converter(encoder: keras.Model) -> Any:
    """Prepare the conversion of an encoder, of one picture a call: a `tf.lite.TFLiteConverter`."""
    pixels = tf.TensorSpec((1, *encoder.input_shape[1:]), tf.float32)
    run = graph(lambda pixels: encoder(pixels)).get_concrete_function(pixels)
    return tf.lite.TFLiteConverter.from_concrete_functions([run])


def identity(encoder: keras.Model) -> str:
    """Tell encoders apart, by layers and weights, and what converts them: hexadecimal digits."""
    digest = hashlib.sha256(f"{tf.__version__} {encoder.to_json()}".encode())
    for variable in encoder.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)).data)
    return digest.hexdigest()


def cache_folder() -> Path:
    """The folder, by the XDG Base Directory Specification; it need not exist.

    Raises:
        OSError: If the user has no home.
    """
    told = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (told if told.is_absolute() else Path.home() / ".cache") / "sightline" / "encoders"
    except RuntimeError as problem:
        raise OSError(str(problem)) from problem


def converted(name: str, convert: Callable[[], bytes]) -> bytes:
    """Return the file that was kept by this name, or else convert, and keep that.

    A file is written whole or not at all, so that several processes may do so at once, and one
    that was damaged since is replaced. Where nothing can be kept, that is logged, and every start
    converts anew.
    """
    with contextlib.suppress(OSError, ValueError):
        return _read(cache_folder() / name)
    content = convert()
    try:
        folder = cache_folder()
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / name, content)
        _prune(folder)
    except OSError as problem:
        logger.warning("the converted encoder cannot be kept for the next start: %s", problem)
    return content


def _read(path: Path) -> bytes:
    size = _DIGEST().digest_size
    with path.open("rb") as file:
        digest, content = file.read(size), file.read()
    if _DIGEST(content).digest() != digest:
        raise ValueError(f"{path} is damaged")
    # What is used is not pruned.
    with contextlib.suppress(OSError):
        path.touch()
    return content


def _write(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(_DIGEST(content).digest() + content)
            file.flush()
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def _prune(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[_KEPT:]:
        path.unlink(missing_ok=True)
