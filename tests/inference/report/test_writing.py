import json
from pathlib import Path

import numpy as np
import pytest

from inference.captioning.model import Ability
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import ProgressPrinter, finish
from inference.report import Analyses, write_files
from inference.report.contents import explain_image, explain_words
from inference.report.writing import choose
from models.word_kinds import word_kind
from tests.support.captioners.subwords import PIECES, SubwordCaptionModel

CAPTION = tuple(map(PIECES.index, ("a", "snow", "##board", "##er", "'", "s", "dog", "[END]")))


def test_a_report_has_what_the_captioner_allows() -> None:
    model = SubwordCaptionModel(frozenset({Ability.GRADIENTS}))

    assert choose(model, ["rise", "ace", "rise"]) == ["rise", "ace"]
    assert {"gradcam", "occlusion", "ace"} <= set(choose(model, None))
    for name in ("attention", "saliency", "adversarial"):
        assert name not in choose(model, None)
        with pytest.raises(
            ValueError,
            match=f"{name} is not possible with the captioner .*; choose from: gradcam, ",
        ):
            choose(model, ["rise", name])


@pytest.mark.parametrize("checked", [True, False])
def test_the_words_of_a_caption_are_explained_by_the_maps_that_come_with_it(checked: bool) -> None:
    model = SubwordCaptionModel()
    image = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    subject = CaptionedImage(model, image, CAPTION)
    (live,) = model.live_maps(subject.grid[None], [subject.rescored])
    contents = finish(explain_words(model, image, CAPTION, checked=checked))

    (found,) = contents.methods
    whole, *words = found.explanations
    assert (found.method.name, whole.target.kind) == (live.method, "caption")
    assert [each.title for each in words] == [span.text for span in subject.spans]
    assert [each.target.index for each in words] == list(range(len(words)))
    for each, expected in zip(words, live.words, strict=True):
        assert np.array_equal(each.map.values, expected.values)
    assert contents.image is image
    assert contents.checked_by == (live.method if checked else None)
    objects = {i for i, span in enumerate(subject.spans) if word_kind(span.text) == "object"}
    assert set(contents.checks) == (objects if checked else set())


def test_a_report_on_a_blank_image_says_so(tmp_path: Path) -> None:
    model = SubwordCaptionModel(frozenset({Ability.GRADIENTS}))
    side = model.image_size

    contents = explain_image(
        model,
        np.full((side, side, 3), 128, np.uint8),
        ["gradcam", "occlusion"],
        ProgressPrinter(print, 2),
    )
    files = {name for name, _ in write_files(contents, Analyses(), "grey.png", tmp_path)}

    assert (contents.caption.text, contents.caption.fallback) == ("", "blank")
    assert files == {"report.html", "report.json"}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert '<h1 lang="en">Nothing to describe: the image is blank</h1>' in page
    assert "confidence" not in page.split("</ul>")[0].split("<h1")[1]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["caption"]["fallback"], report["words"], report["tags"]) == ("blank", [], [])
