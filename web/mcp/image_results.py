"""What the tools return of image files; the models are schemas for assistants."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import BaseModel, Field

from inference.explanations import Map
from web.mcp.results import Confidence, Said, Tag


class Word(BaseModel):
    """A word of a caption."""

    text: str
    confidence: Annotated[
        float | None, Field(description="Probability that people would say it, 0 to 1.")
    ]
    alternatives: Annotated[list[str], Field(description="The next best words in its place.")]


class ImageCaption(BaseModel):
    """The caption of an image file."""

    said: Said
    confidence: Confidence
    words: list[Word]
    tags: list[Tag]
    width: int
    height: int

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read `ImageCaption` of the HTTP API."""
        return cls(**_image_fields(values))


class ImageExplanation(ImageCaption):
    """The caption of an image file, and where in the image a part of it comes from."""

    method: Annotated[str, Field(description="How it was computed.")]
    explained: Annotated[str, Field(description="The word, object or caption that is explained.")]
    peak_x: Annotated[
        float, Field(description="Where the map is strongest: 0 is the left edge, 1 the right one.")
    ]
    peak_y: Annotated[float, Field(description="0 is the top edge, 1 the bottom one.")]

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read `ImageExplanation` of the HTTP API."""
        explanation = values["explanation"]
        cells = Map.from_json(explanation["map"]).values
        row, column = np.unravel_index(int(cells.argmax()), cells.shape)
        return cls(
            **_image_fields(values),
            method=explanation["method"],
            explained=_explained(values, explanation["of"]),
            peak_x=round((int(column) + 0.5) / cells.shape[1], 2),
            peak_y=round((int(row) + 0.5) / cells.shape[0], 2),
        )


def _image_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    words = [
        Word(
            text=word["text"],
            confidence=word["confidence"],
            alternatives=[other["text"] for other in word["alternatives"]],
        )
        for word in values["words"]
    ]
    return {
        "said": values["said"],
        "confidence": values["confidence"],
        "words": words,
        "tags": Tag.all_of(values),
        **values["image"],
    }


def _explained(values: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    match target["kind"]:
        case "caption":
            return "the whole caption"
        case "tag":
            return str(target["text"])
    word = str(values["words"][target["index"]]["text"])
    return f"{word}, not {target['text']}" if target["kind"] == "contrast" else word
