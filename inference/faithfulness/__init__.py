"""Measure how faithful explanations are to the captioner: `python -m inference.faithfulness`.

`score_maps` does so from Python. Most modules load TensorFlow, so it is imported at its first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.faithfulness.scoring import MapScores, score_maps

__all__ = ["MapScores", "score_maps"]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inference.startup import load_keras_for_program

    load_keras_for_program()
    from inference.faithfulness import scoring

    return getattr(scoring, name)
