"""Pictures for assistants. Needs the package `mcp`."""

import io

import numpy as np
from mcp.server.mcpserver import Image
from PIL import Image as Picture

from inference.explanations import Map, paint
from stream.sources import SourceError, decode_image
from web.mcp.client import ServerError

_SIDE = 1024
"""Longest side in pixels: models scale larger pictures down."""

_QUALITY = 85
_MAX_DECODED_PIXELS = 2**22


def draw_picture(data: bytes, heat: Map | None = None) -> Image:
    """Return an image file as a small JPEG, with a map over it if there is one.

    Raises:
        ServerError: If it cannot be decoded.
    """
    try:
        picture = Picture.fromarray(decode_image(data, "the image", _MAX_DECODED_PIXELS))
    except SourceError as error:
        raise ServerError(str(error)) from error
    picture.thumbnail((_SIDE, _SIDE))
    if heat:
        picture = Picture.fromarray(paint(np.asarray(picture, np.uint8), heat))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_QUALITY)
    return Image(data=file.getvalue(), format="jpeg")
