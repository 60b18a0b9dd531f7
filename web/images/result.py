"""The result of captioning or explaining an image: as JSON, as arrays, and as a picture."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.captioning import NOT_CALIBRATED, Caption
from inference.engine import EngineInfo
from inference.explanations import CaptionMaps, Tile, draw_contact_sheet, paint
from stream.captioning import display_text, maps_json, timing_json, wording_json
from stream.image_captions import ImageCaption
from web.images.target import Explained

Json = dict[str, Any]

_TILE_SIDE = 640
"""Longest side of an image on a sheet, in pixels; more would not be seen."""


class MapsUnavailable(ValueError):
    """The captioner computes no such maps; the message is for the client."""


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """An image of a batch that could not be captioned or explained."""

    code: str
    message: str

    def to_json(self) -> Json:
        """Return an error, as the server returns it for a request."""
        return {"error": {"code": self.code, "message": self.message}}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of an NPZ file: the error alone."""
        return {"json": np.array(json.dumps(self.to_json()))}


@dataclass(frozen=True, slots=True, eq=False)
class ImageResult:
    """The result of a captioned image."""

    info: EngineInfo
    """Of the captioner."""
    caption: Caption
    size: tuple[int, int]
    """Width and height of the image, in pixels."""
    image: NDArray[np.uint8] | None
    """RGB, uint8 [H, W, 3]; only kept to be drawn."""
    explained: Explained | None
    maps: bool
    """Whether the caption's own maps belong to the result."""

    @classmethod
    def of(
        cls,
        info: EngineInfo,
        captioned: ImageCaption,
        explained: Explained | None,
        *,
        maps: bool,
        drawn: bool,
    ) -> Self:
        """Create a result; the image is kept if it is to be drawn.

        Raises:
            MapsUnavailable: If maps belong to it, and the captioner computes none.
        """
        if maps and captioned.caption.maps is None:
            raise MapsUnavailable(
                "this captioner computes no maps with its captions; /api/explain explains a word"
            )
        image, (height, width) = captioned.image, captioned.image.shape[:2]
        kept = image if drawn else None
        return cls(info, captioned.caption, (width, height), kept, explained, maps)

    def to_json(self) -> Json:
        """Return `ImageCaption` or `ImageExplanation` of the OpenAPI document."""
        caption, (width, height) = self.caption, self.size
        body = {
            "said": display_text(caption),
            **wording_json(caption),
            "captioner": self.info.name,
            "image": {"width": width, "height": height},
            **timing_json(caption, {}),
        }
        if self.explained is None:
            return {**body, "maps": maps_json(caption) if self.maps else None}
        explained = self.explained
        explanation = {
            "method": explained.method.name,
            "unit": explained.method.unit,
            "of": explained.target.to_json(),
            "map": explained.result.map.to_json(),
            "took_ms": round(explained.result.took_ms, 1),
        }
        return {**body, "explanation": explanation}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of an NPZ file.

        Returns:
            `json`, the text of `to_json` without its maps; and of a caption `words`, texts [N];
            `maps`, float32 [N, rows, columns], one for each word; `caption_map`, float32 [rows,
            columns]; of an explanation `map`, float32 [rows, columns].
        """
        body = self.to_json()
        if self.explained:
            body["explanation"].pop("map")
            arrays: dict[str, NDArray[Any]] = {"map": self.explained.result.map.values}
        else:
            body.pop("maps")
            maps = self.caption.maps
            assert maps
            shape = (0, *maps.caption.values.shape)
            stacked = [each.values for each in maps.words] or np.zeros(shape, np.float32)
            arrays = {
                "words": np.array([word.text for word in self.caption.words], np.str_),
                "maps": np.asarray(stacked, np.float32),
                "caption_map": maps.caption.values,
            }
        return {"json": np.array(json.dumps(body)), **arrays}

    def draw(self) -> bytes:
        """Draw a PNG: the image with the explanation's map over it, or a sheet of all word maps."""
        caption, image = self.caption, self.image
        assert image is not None
        if self.explained:
            return _encode_png(Image.fromarray(paint(image, self.explained.result.map)))
        assert caption.maps
        small, name = _shrink(image), caption.maps.method
        tiles = [Tile(small, "Image", ""), *_tiles(caption, caption.maps, small)]
        method = next(each for each in self.info.methods if each.name == name)
        heading, notes = display_text(caption), [f"{method.title}: {method.paper}"]
        if caption.fallback != "blank":
            heading += f" ({_confidence(caption)})"
        return _encode_png(draw_contact_sheet(heading, notes, tiles, method.unit))


def _tiles(caption: Caption, maps: CaptionMaps, image: NDArray[np.uint8]) -> Iterator[Tile]:
    for word, heat in zip(caption.words, maps.words, strict=True):
        note = "" if word.confidence is None else f"{word.confidence:.0%}"
        yield Tile(paint(image, heat), word.text, note)
    yield Tile(paint(image, maps.caption), "Whole caption", "all words together")


def encode_arrays(results: Sequence[ImageResult | ImageFailure], *, is_batch: bool) -> bytes:
    """Encode results as an NPZ file; of a batch, names begin with the image's index: `0/maps`."""
    arrays = {
        f"{index}/{name}" if is_batch else name: array
        for index, result in enumerate(results)
        for name, array in result.arrays().items()
    }
    file = io.BytesIO()
    # allow_pickle is a keyword of savez itself.
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _confidence(caption: Caption) -> str:
    return NOT_CALIBRATED if caption.confidence is None else f"{caption.confidence:.0%} sure"


def _shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    scale = _TILE_SIDE / max(image.shape)
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, np.uint8)


def _encode_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()
