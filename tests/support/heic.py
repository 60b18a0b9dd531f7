"""HEIC files as phones write them: one image of several HEVC tiles (ISO/IEC 23008-12)."""

import io
from fractions import Fraction
from itertools import count

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

TILE = 128
"""Side of a tile, in pixels."""

_ORIENTATION_TAG = 0x0112


def write_heic(
    image: NDArray[np.uint8],
    *,
    quarter_turns: int = 0,
    mirrored: bool = False,
    orientation: int | None = None,
) -> bytes:
    """Encode an image in tiles, of which those at the right and at the bottom are cropped.

    Args:
        image: RGB, uint8 [H, W, 3].
        quarter_turns: Quarter turns to the left to display it with (`irot`).
        mirrored: Whether to display it mirrored left to right, after the turns (`imir`).
        orientation: EXIF orientation.
    """
    height, width = image.shape[:2]
    rows, columns = -(-height // TILE), -(-width // TILE)
    padded = np.pad(image, ((0, rows * TILE - height), (0, columns * TILE - width), (0, 0)), "edge")
    tiles = [
        _encode(padded[y * TILE : (y + 1) * TILE, x * TILE : (x + 1) * TILE])
        for y in range(rows)
        for x in range(columns)
    ]
    grid = bytes([0, 0, rows - 1, columns - 1]) + _u16(width) + _u16(height)
    items = [(b"hvc1", data) for _, data in tiles] + [(b"grid", grid)]
    grid_id = len(items)
    references = _reference(b"dimg", grid_id, range(1, grid_id))
    if orientation is not None:
        exif = Image.Exif()
        exif[_ORIENTATION_TAG] = orientation
        items.append((b"Exif", bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")))
        references += _reference(b"cdsc", len(items), [grid_id])
    properties = [_box(b"hvcC", tiles[0][0]), _size(TILE, TILE), _size(width, height)]
    of_grid = [3]
    for is_given, box in (
        (quarter_turns, _box(b"irot", bytes([quarter_turns]))),
        (mirrored, _box(b"imir", bytes([1]))),
    ):
        if is_given:
            properties.append(box)
            of_grid.append(len(properties))
    associations = {**{tile: [1, 2] for tile in range(1, grid_id)}, grid_id: of_grid}
    ftyp = _box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    # The positions of the items depend on the size of the boxes, but their size does not.
    meta = _meta(items, references, properties, associations, grid_id, 0)
    start = len(ftyp) + len(meta) + 8
    meta = _meta(items, references, properties, associations, grid_id, start)
    return ftyp + meta + _box(b"mdat", b"".join(data for _, data in items))


def _encode(tile: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """Return the decoder's configuration, and the frame."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("libx265", rate=1)
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = TILE
        stream.pix_fmt = "yuv420p"
        stream.options = {"x265-params": "log-level=none:pools=none:frame-threads=1", "crf": "4"}
        frame = av.VideoFrame.from_ndarray(tile.copy(), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1)
        for packet in (*stream.encode(frame), *stream.encode()):
            # libx265 leaves it uninitialised for a single frame.
            packet.dts = packet.pts
            output.mux(packet)
    file.seek(0)
    with av.open(file, "r") as container:
        video = container.streams.video[0]
        configuration = video.codec_context.extradata
        assert configuration is not None
        return bytes(configuration), bytes(next(container.demux(video)))


def _meta(
    items: list[tuple[bytes, bytes]],
    references: bytes,
    properties: list[bytes],
    associations: dict[int, list[int]],
    primary: int,
    start: int,
) -> bytes:
    entries, locations = b"", b""
    for number, (kind, data) in zip(count(1), items):
        entries += _full(b"infe", 2, _u16(number) + _u16(0) + kind + b"\0")
        locations += _u16(number) + _u16(0) + _u16(1) + _u32(start) + _u32(len(data))
        start += len(data)
    ipma = _u32(len(associations)) + b"".join(
        _u16(item) + bytes([len(numbers), *(0x80 | number for number in numbers)])
        for item, numbers in associations.items()
    )
    return _full(
        b"meta",
        0,
        _full(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
        + _full(b"pitm", 0, _u16(primary))
        + _full(b"iloc", 0, b"\x44\0" + _u16(len(items)) + locations)
        + _full(b"iinf", 0, _u16(len(items)) + entries)
        + _full(b"iref", 0, references)
        + _box(b"iprp", _box(b"ipco", b"".join(properties)) + _full(b"ipma", 0, ipma)),
    )


def _reference(kind: bytes, source: int, targets: "range | list[int]") -> bytes:
    return _box(kind, _u16(source) + _u16(len(targets)) + b"".join(map(_u16, targets)))


def _size(width: int, height: int) -> bytes:
    return _full(b"ispe", 0, _u32(width) + _u32(height))


def _full(kind: bytes, version: int, content: bytes) -> bytes:
    return _box(kind, bytes([version, 0, 0, 0]) + content)


def _box(kind: bytes, content: bytes) -> bytes:
    return _u32(len(content) + 8) + kind + content


def _u16(value: int) -> bytes:
    return value.to_bytes(2)


def _u32(value: int) -> bytes:
    return value.to_bytes(4)
