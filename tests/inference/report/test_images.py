import base64
import io

import numpy as np
from PIL import Image

from inference.report.images import ReportImage, highlight_regions
from tests.inference.report.examples import example_image

LABELS = np.arange(9, dtype=np.int32).reshape(3, 3).repeat(10, axis=0).repeat(10, axis=1)


def test_an_embedded_image_is_reduced_and_opens_without_a_file() -> None:
    embedded = ReportImage(example_image(height=100, width=400), "noise", max_side=200).embed()
    prefix, data = embedded.src.split(",")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))

    assert prefix == "data:image/webp;base64"
    assert opened.size == (embedded.width, embedded.height) == (200, 50)


def test_highlighted_regions_keep_their_colours_and_the_rest_is_dark_grey() -> None:
    image = np.full((30, 30, 3), (200, 100, 0), np.uint8)
    drawn = highlight_regions(image, LABELS, (4,))

    assert (drawn[10:20, 10:20] == image[10:20, 10:20]).all()
    assert (drawn[9, 10:20] == 255).all()
    assert (drawn[:9] == 30).all()
