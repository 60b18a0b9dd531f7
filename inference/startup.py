"""Start-up of processes that use TensorFlow: faster imports, quiet libraries, thread counts."""

import contextlib
import gc
import importlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

_UNNEEDED = ("matplotlib", "sklearn")
"""Optional dependencies of Keras that are slow to import."""

_ENCODER_THREADS = 2
_CPU_INFO = Path("/proc/cpuinfo")


class TensorFlowUnavailable(RuntimeError):
    """TensorFlow cannot be loaded; the message says why, and what to do."""


def load_keras() -> None:
    """Import Keras and TensorFlow, in half the time of `import keras`.

    Keras imports scikit-learn and matplotlib if they are installed, for wrappers and plots that
    Sightline does not use. They are hidden from it, and can be imported afterwards. The garbage
    collector never searches the modules, which stay.

    Raises:
        TensorFlowUnavailable: If it cannot be loaded.
    """
    _check_cpu()
    hidden = [name for name in _UNNEEDED if name not in sys.modules]
    # None makes an import raise ModuleNotFoundError (Python language reference, section 5.3.1).
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    loaded = "keras" in sys.modules
    try:
        with uncollected():
            importlib.import_module("keras")
            if not loaded:
                gc.freeze()
    except ImportError as error:
        raise TensorFlowUnavailable(_describe(error)) from error
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Search for no garbage in the block, which loads much and leaves little of it behind."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def load_keras_for_program() -> None:
    """Import Keras and TensorFlow in a program that is not ours, quietly and in one thread.

    What the program set up stays: if it has imported TensorFlow, nothing happens.

    Raises:
        TensorFlowUnavailable: If it cannot be loaded.
    """
    if "tensorflow" not in sys.modules:
        use_one_thread()
        with quiet_stderr():
            load_keras()


def _check_cpu() -> None:
    """Check the instruction set extension that TensorFlow's builds for x86-64 require."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return
    try:
        flags = re.search(r"^flags\s*:(.*)$", _CPU_INFO.read_text(encoding="utf-8"), re.M)
    except OSError:
        return
    if flags and "avx" not in flags[1].split():
        raise TensorFlowUnavailable(
            "this CPU has no AVX instructions, which TensorFlow needs; use another machine, or "
            "another CPU model of the virtual machine, or a build of TensorFlow for this CPU"
        )


def _describe(error: BaseException) -> str:
    """Return the first cause of an import error in one line, and what to do."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    reason = (str(error).splitlines() or [type(error).__name__])[-1]
    remedy = "repair the installation: make clean run"
    if "failed to map segment" in reason:
        remedy = "free some memory or raise the limit; the shipped captioner needs about 1.1 GB"
    return f"TensorFlow cannot be loaded: {reason}; {remedy}"


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back standard error, which TensorFlow and LiteRT write to, unless the block fails.

    Errors whose message says why, such as that of a damaged captioner, need no such output.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    original = os.dup(2)
    # In memory, since no folder may be writable.
    with os.fdopen(os.memfd_create("stderr"), "w+b") as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except (TensorFlowUnavailable, ValueError):
            raise
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
