import cv2
import numpy as np
import pytest
from PIL import Image

from inference.explanations.contact_sheet import Tile, draw_contact_sheet
from inference.explanations.heatmap import COLORMAP

RED, GREEN = (250, 0, 0), (0, 250, 0)


def tile(colour: tuple[int, int, int], height: int, width: int, title: str = "word") -> Tile:
    return Tile(np.full((height, width, 3), colour, np.uint8), title, "50% sure")


def boxes(sheet: Image.Image, colour: tuple[int, int, int]) -> list[tuple[int, int, int, int]]:
    """Return left, top, right and bottom of each separate rectangle of a colour."""
    same = (np.asarray(sheet) == colour).all(axis=-1).astype(np.uint8)
    _, _, found, _ = cv2.connectedComponentsWithStats(same)
    # The first component is the background.
    return [
        (left, top, left + width, top + height)
        for left, top, width, height, _ in found[1:].tolist()
    ]


@pytest.mark.parametrize(("height", "width"), [(480, 640), (640, 480), (200, 900), (900, 90)])
@pytest.mark.parametrize("number", [1, 4, 11])
def test_every_image_is_shown_whole_with_its_aspect_ratio(
    height: int, width: int, number: int
) -> None:
    sheet = draw_contact_sheet(
        "A caption", ["A note"], [tile(RED, height, width) for _ in range(number)], "logits"
    )

    shown = boxes(sheet, RED)
    assert len(shown) == number
    for left, top, right, bottom in shown:
        assert 0 <= left < right <= sheet.width
        assert 0 <= top < bottom <= sheet.height
        assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.02)


def test_images_are_in_the_order_of_the_tiles() -> None:
    sheet = draw_contact_sheet("", [], [tile(RED, 48, 64), tile(GREEN, 48, 64)], "logits")

    ((red, *_),), ((green, *_),) = boxes(sheet, RED), boxes(sheet, GREEN)
    assert red < green


def test_the_legend_shows_the_colour_map() -> None:
    sheet = np.asarray(draw_contact_sheet("", [], [tile(RED, 48, 64)], "logits"))

    assert (sheet == COLORMAP[-1]).all(axis=-1).any()


def test_a_long_caption_and_a_long_word_stay_on_the_sheet() -> None:
    short, long = (
        draw_contact_sheet(
            " ".join(["words"] * count), [], [tile(RED, 48, 64, "w" * count)], "logits"
        )
        for count in (2, 200)
    )

    assert long.width == short.width
    assert long.height > short.height
    assert (np.asarray(long)[:, -16:] == 255).all()
