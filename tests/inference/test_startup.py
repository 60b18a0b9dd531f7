"""Tests of loading Keras without its optional dependencies, each in a process of its own."""

import subprocess
import sys

LOAD = """
import sys
from inference.startup import load_keras
load_keras()
print(sorted({"keras", "matplotlib", "sklearn", "tensorflow"} & set(sys.modules)))
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
    lines = ["['keras', 'tensorflow']", "[[3.0, 3.0]]", "['matplotlib', 'sklearn']"]
    assert output_of(LOAD) == lines


def test_modules_that_were_loaded_before_stay() -> None:
    assert output_of(LOAD_AFTER_SKLEARN) == ["True False"]
