"""Captioners: references to them, and the implementations of `inference.captioning.CaptionModel`.

The implementations are not exported here: they load TensorFlow.
"""

from inference.captioners.architecture import (
    PUBLISHED,
    Architecture,
    CaptionerError,
    UnknownArchitecture,
    read_architecture,
    read_licence,
)
from inference.captioners.reference import (
    FORMS,
    SHIPPED_FOLDER,
    CaptionerReference,
    local_folder,
    reference_of,
)

__all__ = [
    "FORMS",
    "PUBLISHED",
    "SHIPPED_FOLDER",
    "Architecture",
    "CaptionerError",
    "CaptionerReference",
    "UnknownArchitecture",
    "local_folder",
    "read_architecture",
    "read_licence",
    "reference_of",
]
