"""TODO."""

from inference.captioning.caption import Caption, Tag, Timing, Word
from inference.captioning.int8 import (
    Int8Card,
    Precision,
    QuantizedError,
    read_int8,
    sha256,
    write_int8,
)
from inference.captioning.steadiness import CUT, Anchor, Features, Followed, View, features

__all__ = [
    "CUT",
    "Anchor",
    "Caption",
    "Features",
    "Followed",
    "Int8Card",
    "Precision",
    "QuantizedError",
    "Tag",
    "Timing",
    "View",
    "Word",
    "features",
    "read_int8",
    "sha256",
    "write_int8",
]
