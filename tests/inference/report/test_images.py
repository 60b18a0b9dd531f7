import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference.captioning.caption import Word
from inference.explanations import Check, Map, Target
from inference.explanations.methods import METHODS
from inference.report import Contents, Explanation, MethodMaps
from inference.report.images import ReportImage, highlight_regions, painted_maps
from models.captioner import BeamConfig
from models.checkpoint import ModelCard
from tests.inference.report.examples import caption, example_image

TIMES = "\N{MULTIPLICATION SIGN}"
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


@pytest.mark.parametrize(
    ("confidence", "notes"),
    [
        (
            0.61,
            ["", "80%; holds up (p = 0.02): next word 50%, blanked 10%, elsewhere 40%"],
        ),
        (
            None,
            [
                "1 of 2",
                f"2 of 2; holds up (p = 0.02): blanked {TIMES}0.2, elsewhere {TIMES}0.8",
            ],
        ),
    ],
)
def test_words_have_probabilities_only_if_the_captioner_is_calibrated(
    confidence: float | None, notes: list[str]
) -> None:
    words = (Word("a", 0.9, ()), Word("dog", 0.5, (), 0.8))
    even = Map(np.ones((2, 2), np.float32))
    explanations = tuple(
        Explanation(Target("word", index), word.text, even) for index, word in enumerate(words)
    )
    contents = Contents(
        image=example_image(),
        card=ModelCard("Example", "nothing", "CC0-1.0", {}, BeamConfig()),
        caption=replace(caption("A dog"), confidence=confidence),
        words=words,
        tokens=(4, 5, 3),
        methods=(MethodMaps(METHODS["gradcam"].card(), explanations, 1.0),),
        checks={1: Check(0.2, 0.5, 0.1, (0.3, 0.4, 0.45), 110, 144, 0.0208, 1.0)},
        checked_by="gradcam",
        checks_ms=1.0,
    )

    (painted,) = painted_maps(contents)

    assert [tile.note for tile in painted.tiles] == notes
    assert ("confidence is not calibrated" in painted.notes[1]) == (confidence is None)
