"""Images that programs send for a caption or an explanation, and the forms of the results."""

from web.images.formats import ResultFormat, UnsupportedFormat, choose_format
from web.images.result import ImageFailure, ImageResult, MapsUnavailable, encode_arrays
from web.images.target import Explained, TargetError, TargetQuery
from web.images.upload import MAX_IMAGES, Upload, UploadError, receive_upload

__all__ = [
    "MAX_IMAGES",
    "Explained",
    "ImageFailure",
    "ImageResult",
    "MapsUnavailable",
    "ResultFormat",
    "TargetError",
    "TargetQuery",
    "UnsupportedFormat",
    "Upload",
    "UploadError",
    "choose_format",
    "encode_arrays",
    "receive_upload",
]
