"""What captioners return to programs: a caption of an image, and a heat map of what it rests on."""

import io
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from inference.captioning import Caption, Tag, Word
from inference.explanations import Map, MethodCard, Target, paint, to_levels
from inference.report.formatting import confidence_text, printable
from inference.report.images import ReportImage

_FIGURE = Markup(
    '<figure style="margin:0"><img src="{src}" width="{width}" height="{height}" alt="{alt}"'
    ' style="max-width:100%;height:auto"><figcaption>{text}</figcaption></figure>'
)
_LEVELS = 255


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ImageCaption:
    """The caption of an image; `str` returns its text. In notebooks it shows the image."""

    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    text: str
    """The whole caption: a sentence without a full stop; empty if the image is blank."""
    words: tuple[Word, ...]
    """The words of `text`, each with its probability, its runners-up, and its confidence if the
    captioner is calibrated."""
    details: Caption
    """As the page shows it. If `unsure`, its text is only what is likely of the caption."""
    captioner: str
    """Name in the captioner's card."""
    tokens: tuple[int, ...] = field(default=())
    """The captioner's own form of the caption."""
    folder: Path = field(default=Path())
    """Of the captioner; the tokens mean nothing to another one."""

    @property
    def confidence(self) -> float | None:
        """Probability that most of the caption is right, in 0..1; None if not calibrated."""
        return self.details.confidence

    @property
    def unsure(self) -> bool:
        """Whether the confidence is so low that the page does not show the whole caption."""
        return self.details.fallback is not None

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Objects that are probably in the image, the most probable first."""
        return self.details.tags

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<ImageCaption {self.text!r} ({confidence_text(self.confidence)})>"

    def _repr_html_(self) -> str:
        text = f"{self.text or '(no words)'} ({confidence_text(self.confidence)})"
        return _figure(self.image, self.text, text)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HeatMap:
    """How much each region of an image mattered to a word, a caption or a tag.

    NumPy converts it to `values`. In notebooks it shows the image with the map over it.
    """

    values: NDArray[np.float32]
    """[rows, columns], an even grid over the whole image, not negative, in `method.unit`."""
    image: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    caption: str
    """The whole caption."""
    target: Target
    """What is explained."""
    title: str
    """The same for people: the word, "whole caption", or the tag."""
    method: MethodCard
    """Name, unit and paper of the method."""
    captioner: str
    """Name in the captioner's card."""
    note: str = ""
    """What is to be known about this map in particular; usually empty."""

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def resized(self) -> NDArray[np.float32]:
        """Return the map at the image's size, its peak scaled to 1: float32 [H, W] in 0..1.

        In 256 levels, interpolated smoothly, as `overlay` paints it. It has the form of the maps of
        pytorch-grad-cam, so that its `show_cam_on_image` takes it.
        """
        height, width = self.image.shape[:2]
        return np.asarray(to_levels(self._map, height, width) / _LEVELS, np.float32)

    def overlay(self) -> NDArray[np.uint8]:
        """Return the image with the map painted over it: RGB, uint8 [H, W, 3]."""
        return paint(self.image, self._map)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the image as JSON values; see `Map.to_json` for the map."""
        return {**self._about(), "map": self._map.to_json()}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, in the format of its suffix.

        Args:
            path: `.png`: the overlay. `.npz`: the arrays `map`, which is `values`, and `about`, a
                JSON text of what the map explains. `.json`: see `to_json`.

        Raises:
            ValueError: If the suffix is another one.
            OSError: If the file cannot be written.
        """
        file = Path(path)
        buffer = io.BytesIO()
        match file.suffix.lower():
            case ".png":
                Image.fromarray(self.overlay()).save(buffer, "png")
            case ".npz":
                about = json.dumps(self._about())
                np.savez_compressed(buffer, map=self.values, about=np.array(about))
            case ".json":
                buffer.write(json.dumps(self.to_json()).encode() + b"\n")
            case _:
                raise ValueError(f"{file.name} has none of the suffixes .png, .npz and .json")
        file.write_bytes(buffer.getvalue())

    def __repr__(self) -> str:
        rows, columns = self.values.shape
        about = f"{self.title!r} in {self.caption!r} by {self.method.name}"
        return f"<HeatMap {rows}x{columns} of {about}>"

    def _repr_html_(self) -> str:
        about = f"{self.method.title}, {self.title}: {self.caption}"
        return _figure(self.overlay(), f"{self.title}: heat map over the image", about)

    @property
    def _map(self) -> Map:
        return Map(self.values, self.note)

    def _about(self) -> dict[str, Any]:
        height, width = self.image.shape[:2]
        return {
            "captioner": self.captioner,
            "caption": self.caption,
            "target": self.target.to_json(),
            "title": self.title,
            "method": self.method.name,
            "unit": self.method.unit,
            "image": {"width": width, "height": height},
        }


def _figure(image: NDArray[np.uint8], alt: str, text: str) -> str:
    """Return HTML that needs no other file, with the image as a data URI."""
    embedded = ReportImage(image, alt).embed()
    return str(
        _FIGURE.format(
            src=embedded.src,
            width=embedded.width,
            height=embedded.height,
            alt=printable(alt),
            text=printable(text),
        )
    )
