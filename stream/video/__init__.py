"""Video of a stream: frames, what is drawn on them, and the tracks and encoders that send them."""

from stream.video.annotated_track import AnnotatedTrack, ReturnedVideo
from stream.video.caption_overlay import OverlayText
from stream.video.frame import Frame, Plane, Slot, blank_frame, convert_frame, yuv_planes
from stream.video.incomplete_frames import IncompleteFrames
from stream.video.shared_encoder import SharedCodec
from stream.video.shared_track import SharedVideo
from stream.video.viewer_track import ViewerTrack, send_shared_video
from stream.video.vp8 import install_vp8_encoder

__all__ = [
    "AnnotatedTrack",
    "Frame",
    "IncompleteFrames",
    "OverlayText",
    "Plane",
    "ReturnedVideo",
    "SharedCodec",
    "SharedVideo",
    "Slot",
    "ViewerTrack",
    "blank_frame",
    "convert_frame",
    "install_vp8_encoder",
    "send_shared_video",
    "yuv_planes",
]
