"""Sightline's own captioners: LiteRT encoder, attention-LSTM decoder, and their gradients.

Importing this package loads TensorFlow.
"""

from inference.captioners.lstm.decoding import CompiledDecoder
from inference.captioners.lstm.model import LstmCaptionModel

__all__ = ["CompiledDecoder", "LstmCaptionModel"]
