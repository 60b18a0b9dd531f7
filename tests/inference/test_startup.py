"""Tests of loading Keras without its optional dependencies, each in a process of its own."""

import builtins
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from inference import startup
from inference.startup import TensorFlowUnavailable, load_keras, quiet_stderr

LOAD = """
import gc, sys
from inference.startup import load_keras
load_keras()
print(sorted({"keras", "matplotlib", "sklearn", "tensorflow"} & set(sys.modules)))
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
import keras, numpy
layer = keras.layers.Dense(2, kernel_initializer="ones")
print(numpy.asarray(layer(numpy.ones((1, 3), "float32"))).tolist())
from sklearn.decomposition import non_negative_factorization
from matplotlib.figure import Figure
print(sorted({"matplotlib", "sklearn"} & set(sys.modules)))
"""
LOAD_AFTER_SKLEARN = """
import sys, sklearn
from inference.startup import load_keras
load_keras()
print(sys.modules["sklearn"] is sklearn, "matplotlib" in sys.modules)
"""


def output_of(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_keras_works_and_its_optional_dependencies_load_later() -> None:
    lines = ["['keras', 'tensorflow']", "True True", "[[3.0, 3.0]]", "['matplotlib', 'sklearn']"]
    assert output_of(LOAD) == lines


def test_modules_that_were_loaded_before_stay() -> None:
    assert output_of(LOAD_AFTER_SKLEARN) == ["True False"]


def test_a_cpu_that_cannot_run_tensorflow_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    information = tmp_path / "cpuinfo"
    information.write_text("processor\t: 0\nflags\t\t: fpu sse2 avx512f\n")
    monkeypatch.setattr(startup, "_CPU_INFO", information)
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")

    with pytest.raises(TensorFlowUnavailable, match=r"this CPU has no AVX .*; use another"):
        load_keras()


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("libx.so: failed to map segment from shared object", "free some memory"),
        ("libx.so: undefined symbol: f", "make clean run"),
    ],
)
def test_a_tensorflow_that_cannot_be_loaded_is_an_error_with_advice(
    tmp_path: Path, reason: str, advice: str
) -> None:
    (tmp_path / "keras.py").write_text(
        f"try:\n    raise ImportError({reason!r})\nexcept ImportError as error:\n"
        "    raise ImportError('See https://example.org') from error\n"
    )
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from inference.startup import TensorFlowUnavailable, load_keras, quiet_stderr\n"
        "try:\n    with quiet_stderr():\n"
        "        print('noise', file=sys.stderr, flush=True); load_keras()\n"
        "except TensorFlowUnavailable as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    (line,) = done.stdout.splitlines()
    assert reason in line and advice in line
    assert "noise" not in done.stderr


@pytest.mark.parametrize(("error", "shown"), [("ValueError", ""), ("KeyError", "noise\n")])
def test_the_output_of_libraries_is_shown_for_unforeseen_errors_only(
    capfd: pytest.CaptureFixture[str], error: str, shown: str
) -> None:
    kind = getattr(builtins, error)

    with pytest.raises(kind), quiet_stderr():
        os.write(2, b"noise\n")
        raise kind

    assert capfd.readouterr().err == shown
