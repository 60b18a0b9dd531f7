"""Start-up of processes that use TensorFlow: faster imports, quiet libraries, thread counts."""

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator

_UNNEEDED = ("matplotlib", "sklearn")
"""Optional dependencies of Keras that are slow to import."""

_ENCODER_THREADS = 2


def load_keras() -> None:
    """Import Keras and TensorFlow, a quarter faster than `import keras`.

    Keras imports scikit-learn and matplotlib if they are installed, for wrappers and plots that
    Sightline does not use. They are hidden from it, and can be imported afterwards.
    """
    hidden = [name for name in _UNNEEDED if name not in sys.modules]
    # None makes an import raise ModuleNotFoundError (Python language reference, section 5.3.1).
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        importlib.import_module("keras")
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back standard error, which TensorFlow and LiteRT write to, unless the block fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def use_one_thread() -> None:
    """Run TensorFlow in one thread, unless the environment sets another number.

    Layers as small as the decoder's gain nothing from a second thread, which would spin meanwhile:
    one is faster, and leaves the other cores to the video. Call this before TensorFlow runs
    anything.
    """
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, "1")


def encoder_threads() -> int:
    """Return the number of threads in which LiteRT runs the encoder.

    Its convolutions are large enough to take half the time with a second thread, which sleeps
    between frames; more would take cores from the video.
    """
    return min(_ENCODER_THREADS, len(os.sched_getaffinity(0)))
