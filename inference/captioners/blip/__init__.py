"""BLIP as a captioner: LiteRT encoder, compiled search, gradients, and maps of all words at once.

Importing this package loads TensorFlow.
"""

from inference.captioners.blip.model import CROSS_ATTENTION_LAYER, BlipCaptionModel

__all__ = ["CROSS_ATTENTION_LAYER", "BlipCaptionModel"]
