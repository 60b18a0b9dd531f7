import pytest

from inference.captioning.model import Ability
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
