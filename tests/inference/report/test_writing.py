import json
from pathlib import Path

import numpy as np
import pytest

from inference.captioning.model import Ability
from inference.progress import ProgressPrinter
from inference.report import Analyses, write_files
from inference.report.contents import explain_image
from inference.report.writing import choose
from tests.support.captioners.subwords import SubwordCaptionModel


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
