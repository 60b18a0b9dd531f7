"""The preparation of images, as a BLIP model's `preprocessor_config.json` states it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from models.blip.config import DOWNLOAD_AGAIN, parse, read_json
from models.preprocessing import Resizing

_Positive = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Size:
    """Of the images that the encoder takes, in pixels."""

    height: int
    width: int


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """How images are prepared. A key that is missing has the default of the published format."""

    size: Size = Size(384, 384)
    image_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    """Of red, green and blue in 0..1: those of CLIP's training images."""
    image_std: tuple[_Positive, _Positive, _Positive] = (0.26862954, 0.26130258, 0.27577711)
    rescale_factor: _Positive = 1 / 255
    resample: Annotated[int, Field(ge=0, le=5)] = 3
    """A filter of Pillow; 3 is bicubic."""
    do_resize: Literal[True] = True
    do_rescale: Literal[True] = True
    do_normalize: Literal[True] = True
    do_center_crop: Literal[False] | None = False
    do_pad: Literal[False] | None = False

    @property
    def resizing(self) -> Resizing:
        """How images are resized, without keeping the aspect ratio; the encoder normalizes."""
        return Resizing(self.size.width, pillow_filter=self.resample)


def read_image_config(path: Path, image_size: int) -> ImageConfig:
    """Read a `preprocessor_config.json`.

    Args:
        path: The file.
        image_size: Side of the encoder's input, in pixels.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it does not describe images that this encoder takes.
    """
    values = read_json(path)
    if isinstance(side := values.get("size"), int):
        values["size"] = {"height": side, "width": side}
    config = parse(ImageConfig, values, path)
    if config.size != Size(image_size, image_size):
        raise ValueError(
            f"{path.name} resizes images to {config.size.width}x{config.size.height} pixels, but "
            f"the encoder of config.json takes {image_size}x{image_size}; {DOWNLOAD_AGAIN}"
        )
    return config
