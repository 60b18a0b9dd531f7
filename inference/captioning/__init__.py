"""Captions of images and stream frames.

`model`, which all captioners implement, `decoding`, `stream_captions` and `lite_encoder` are not
exported here: they load TensorFlow.
"""

from inference.captioning.caption import NOT_CALIBRATED, Caption, Tag, Timing, Word, word_ranks
from inference.captioning.int8 import (
    Int8Card,
    Int8Loss,
    Precision,
    QuantizedError,
    read_int8,
    sha256,
    write_int8,
)
from inference.captioning.stream_state import (
    SCENE_CUT_DISTANCE,
    Features,
    FrameRequest,
    FrameResult,
    Steadiness,
    StreamState,
    frame_features,
)

__all__ = [
    "NOT_CALIBRATED",
    "SCENE_CUT_DISTANCE",
    "Caption",
    "Features",
    "FrameRequest",
    "FrameResult",
    "Int8Card",
    "Int8Loss",
    "Precision",
    "QuantizedError",
    "Steadiness",
    "StreamState",
    "Tag",
    "Timing",
    "Word",
    "frame_features",
    "read_int8",
    "sha256",
    "word_ranks",
    "write_int8",
]
