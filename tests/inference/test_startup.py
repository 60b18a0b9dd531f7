"""Tests of loading Keras without what it has for others, each in a process of its own."""

import subprocess
import sys

WORKS = """
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
KEEPS = """
import sys, sklearn
from inference.startup import load_keras
load_keras()
print(sys.modules["sklearn"] is sklearn, "matplotlib" in sys.modules)
"""


def said(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_keras_works_and_the_rest_is_loaded_when_it_is_needed() -> None:
    assert said(WORKS) == ["['keras', 'tensorflow']", "[[3.0, 3.0]]", "['matplotlib', 'sklearn']"]


def test_what_was_loaded_before_stays() -> None:
    assert said(KEEPS) == ["True False"]
