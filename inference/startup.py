"""Keras, loaded without what it has for others.

What libraries say of themselves, held back.

How many threads the captioner takes.
"""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator

_FOR_OTHERS = ("matplotlib", "sklearn")
_ENCODER_THREADS = 2


def load_keras() -> None:
    """Import Keras and TensorFlow, in a quarter less time than `import keras` takes.

    Keras imports scikit-learn and matplotlib where they are installed, for wrappers and plots that
    nothing here uses, and does without where they are not. They can be imported afterwards.
    """
    missing = [name for name in _FOR_OTHERS if name not in sys.modules]
    # What `import` takes for a module that is not there (Python's reference, section 5.3.1).
    sys.modules.update(dict.fromkeys(missing))  # type: ignore[arg-type]
    try:
        importlib.import_module("keras")
    finally:
        for name in missing:
            del sys.modules[name]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow and LiteRT write on standard error, unless this fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    spoken = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(spoken, held.read())
            raise
        finally:
            os.dup2(spoken, 2)
            os.close(spoken)


def use_one_thread() -> None:
    """Let TensorFlow compute in one thread, unless the environment says otherwise.

    Layers as small as the decoder's gain nothing from a second, which spins meanwhile: one is
    faster, and leaves the other cores to the video. To be called before TensorFlow first computes.
    """
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, "1")


def encoder_threads() -> int:
    """How many threads LiteRT runs the encoder in.

    Its convolutions are large enough to halve in time with a second, which sleeps between
    pictures; more would have to be taken from the video.
    """
    return min(_ENCODER_THREADS, len(os.sched_getaffinity(0)))
