"""Conversion of BLIP to LiteRT, in parts, whose result is cached."""

import contextlib
import ctypes
import gc
from collections.abc import Callable, Iterable, Iterator

from inference.captioning.encoder_cache import cached_conversion


def cached_parts(name: str, convert: Callable[[], Iterable[bytes]]) -> Iterator[bytes]:
    """Yield the flatbuffers of a cached file, or convert and cache them.

    A conversion needs fifteen times the memory of its weights, so it is done in parts of a few
    layers, each of which is to be converted when it is asked for.
    """
    content = cached_conversion(name, lambda: _join(convert()))
    start = 0
    while start < len(content):
        size = int.from_bytes(content[start : start + 8], "little")
        start += 8 + size
        yield content[start - size : start]
    del content
    _return_memory()


def _join(models: Iterable[bytes]) -> bytes:
    """Join flatbuffers to one file, each after its length."""
    parts = []
    for model in models:
        parts.append(len(model).to_bytes(8, "little") + model)
        _return_memory()
    return b"".join(parts)


def _return_memory() -> None:
    """Return to the system what Python and the C library keep of a conversion."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # It is glibc that has it.
        ctypes.CDLL(None).malloc_trim(0)
