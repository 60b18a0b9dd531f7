"""TODO."""

from stream.video.annotated_track import AnnotatedTrack
from stream.video.frame import Frame, Plane, Slot, blank, converted, planes
from stream.video.overlay import Subtitle
from stream.video.shared_track import SharedVideo
from stream.video.viewer_track import ViewerTrack, send_shared
from stream.video.vp8 import encode_lightly

__all__ = [
    "AnnotatedTrack",
    "Frame",
    "Plane",
    "SharedVideo",
    "Slot",
    "Subtitle",
    "ViewerTrack",
    "blank",
    "converted",
    "encode_lightly",
    "planes",
    "send_shared",
]
