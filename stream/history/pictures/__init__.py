"""Pictures of spans: how they are kept, and how many."""

from stream.history.pictures.keeper import MAX_WAITING, PictureKeeper, PictureSource
from stream.history.pictures.table import (
    NO_PICTURES,
    Execute,
    Fetch,
    KeptPicture,
    Picture,
    PictureLimits,
    PictureTable,
    maps_json,
)

__all__ = [
    "MAX_WAITING",
    "NO_PICTURES",
    "Execute",
    "Fetch",
    "KeptPicture",
    "Picture",
    "PictureKeeper",
    "PictureLimits",
    "PictureSource",
    "PictureTable",
    "maps_json",
]
