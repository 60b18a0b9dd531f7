import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.method import Method
from inference.explanations.methods import METHODS, available_methods
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.rise import Rise
from inference.explanations.methods.saliency import SmoothGrad
from inference.explanations.target import Target
from inference.progress import Progress
from models.language import END, PAD, START
from models.tag_kinds import tag_kinds
from tests.support.captioners.lstm import LstmCaptionedImage
from web.translations import catalogue

OF_OTHERS = {"crossattention", "learned"}
"""Methods that explain other captioners only."""

CHEAP: dict[str, Method] = {
    **METHODS,
    "smoothgrad": SmoothGrad(copies=2),
    "integrated-gradients": IntegratedGradients(least=5, most=5),
    "rise": Rise(masks=8),
}


def targets(subject: LstmCaptionedImage) -> list[Target]:
    words = subject.model.captioner.vocabulary.words
    other = next(word for word in words[4:] if word != words[subject.words[0]])
    return [
        Target("word", len(subject.words) - 1),
        Target("contrast", 0, other),
        Target("caption"),
        Target("tag", text=tag_kinds()[0].name),
    ]


def test_the_live_method_comes_first_and_all_have_cards(subject: LstmCaptionedImage) -> None:
    assert next(iter(METHODS)) == "readcam"
    offered = available_methods(subject.model)
    assert list(offered) == [name for name in METHODS if name not in OF_OTHERS]
    assert list(METHODS) == list(CHEAP)
    for name, method in METHODS.items():
        assert method.name == name
        assert all((method.title, method.paper, method.cost, method.unit))
        assert method.kinds <= {"word", "contrast", "caption", "tag"}


def test_the_page_can_translate_the_texts_of_every_method() -> None:
    """They are listed in `web/static/js/session/server_texts.js`."""
    known = catalogue("de").script_messages
    for method in METHODS.values():
        for text in (method.title, method.cost, method.unit):
            parts = re.split(r"\d+", text)
            places = [f"{{{place}}}" for place in range(len(parts) - 1)]
            message = "".join(itertools.chain(*itertools.zip_longest(parts, places, fillvalue="")))
            assert message in known, message


@pytest.mark.parametrize("name", METHODS)
def test_each_explains_its_kinds_of_targets_and_no_others(
    subject: LstmCaptionedImage, name: str
) -> None:
    method = CHEAP[name]
    for target in targets(subject):
        if target.kind not in method.kinds or name in OF_OTHERS:
            with pytest.raises(ValueError, match="cannot explain"):
                method.explain(subject, target)
            continue
        work, done = method.explain(subject, target), []
        while True:
            try:
                step = next(work)
                done.append(step.done if isinstance(step, Progress) else step)
            except StopIteration as end:
                values = end.value.values
                break
        assert done == sorted(done)
        assert 0 <= done[0] <= done[-1] <= 1
        assert values.dtype == np.float32
        assert values.ndim == 2
        assert np.isfinite(values).all()
        assert values.min() >= 0
        assert values.max() > 0 or target.kind == "tag"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Target("word", 99), "none at index 99"),
        (Target("word", -1), "none at index -1"),
        (Target("word"), "none at index None"),
        (Target("contrast", 0, "zebra"), "the word 'zebra' is not in"),
        (Target("contrast", 0, "<pad>"), "the word '<pad>' is not in"),
        (Target("contrast", 0), "the word None is not in"),
        (Target("tag", text="unicorn"), "no tag 'unicorn'"),
    ],
)
@pytest.mark.parametrize("name", ["gradcam", "saliency", "rise"])
def test_a_target_that_does_not_exist_is_refused_at_once(
    subject: LstmCaptionedImage, name: str, target: Target, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        METHODS[name].explain(subject, target)


def test_the_end_token_and_the_word_itself_are_refused(subject: LstmCaptionedImage) -> None:
    word = subject.model.captioner.vocabulary.words[subject.words[1]]
    with pytest.raises(ValueError, match="already has"):
        METHODS["gradcam"].explain(subject, Target("contrast", 1, word))
    ended = LstmCaptionedImage(subject.model, subject.image, (*subject.words[:2], END))
    with pytest.raises(ValueError, match="none at index 2"):
        METHODS["gradcam"].explain(ended, Target("word", 2))
    nothing = LstmCaptionedImage(subject.model, subject.image, (END,))
    with pytest.raises(ValueError, match="without words"):
        METHODS["gradcam"].explain(nothing, Target("caption"))


def test_tags_of_a_captioner_without_tags_are_refused(
    subject: LstmCaptionedImage, saved: Path
) -> None:
    untagged = LstmCaptionedImage(LstmCaptionModel(saved), subject.image, subject.tokens)
    with pytest.raises(ValueError, match="has no tags"):
        METHODS["gradcam"].explain(untagged, Target("tag", text=tag_kinds()[0].name))


@pytest.mark.parametrize(
    "tokens", [(), (4, 5, 6, 7, 8, 9, 10, END), (PAD, END), (4, END, 5), (START, 4), (4, 999)]
)
def test_invalid_tokens_are_refused(subject: LstmCaptionedImage, tokens: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a caption has"):
        LstmCaptionedImage(subject.model, subject.image, tokens)


def test_an_invalid_image_is_refused(subject: LstmCaptionedImage) -> None:
    with pytest.raises(ValueError, match="uint8"):
        LstmCaptionedImage(subject.model, subject.image[..., 0], subject.tokens)
