from pathlib import Path

import numpy as np
import pytest

from inference.captioning.model import CaptionModel
from inference.explanations.live import LIVE
from inference.explanations.method import Method
from inference.explanations.methods import METHODS
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.rise import Rise
from inference.explanations.methods.saliency import SmoothGrad
from inference.explanations.subject import Subject
from inference.explanations.target import Target
from models.calibration.tags import kinds
from models.language.vocabulary import END, PAD, START

CHEAP: dict[str, Method] = {
    **METHODS,
    "smoothgrad": SmoothGrad(copies=2),
    "integrated-gradients": IntegratedGradients(steps=2),
    "rise": Rise(masks=8),
}


def targets(subject: Subject) -> list[Target]:
    words = subject.model.captioner.vocabulary.words
    other = next(word for word in words[4:] if word != words[subject.words[0]])
    return [
        Target("word", len(subject.words) - 1),
        Target("contrast", 0, other),
        Target("caption"),
        Target("tag", text=kinds()[0].name),
    ]


def test_the_live_one_comes_first_and_all_say_what_they_are() -> None:
    assert next(iter(METHODS)) == LIVE
    assert list(METHODS) == list(CHEAP)
    for name, method in METHODS.items():
        assert method.name == name
        assert all((method.title, method.paper, method.cost, method.unit))
        assert method.kinds <= {"word", "contrast", "caption", "tag"}


@pytest.mark.parametrize("name", METHODS)
def test_each_explains_what_it_says_it_can_and_nothing_else(subject: Subject, name: str) -> None:
    method = CHEAP[name]
    for target in targets(subject):
        if target.kind not in method.kinds:
            with pytest.raises(ValueError, match="cannot explain"):
                method.explain(subject, target)
            continue
        work, done = method.explain(subject, target), []
        while True:
            try:
                done.append(next(work))
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
    ("target", "told"),
    [
        (Target("word", 99), "none at 99"),
        (Target("word", -1), "none at -1"),
        (Target("word"), "none at None"),
        (Target("contrast", 0, "zebra"), "does not know the word 'zebra'"),
        (Target("contrast", 0, "<pad>"), "does not know the word '<pad>'"),
        (Target("contrast", 0), "does not know the word None"),
        (Target("tag", text="unicorn"), "no tag 'unicorn'"),
    ],
)
@pytest.mark.parametrize("name", ["gradcam", "saliency", "rise"])
def test_what_is_not_there_is_refused_at_once(
    subject: Subject, name: str, target: Target, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        METHODS[name].explain(subject, target)


def test_the_end_is_no_word_and_a_word_no_rival_of_itself(subject: Subject) -> None:
    said = subject.model.captioner.vocabulary.words[subject.words[1]]
    with pytest.raises(ValueError, match="what it said"):
        METHODS["gradcam"].explain(subject, Target("contrast", 1, said))
    ended = Subject(subject.model, subject.image, (*subject.words[:2], END))
    with pytest.raises(ValueError, match="none at 2"):
        METHODS["gradcam"].explain(ended, Target("word", 2))
    nothing = Subject(subject.model, subject.image, (END,))
    with pytest.raises(ValueError, match="without words"):
        METHODS["gradcam"].explain(nothing, Target("caption"))


def test_tags_of_a_captioner_without_are_refused(subject: Subject, saved: Path) -> None:
    untagged = Subject(CaptionModel(saved), subject.image, subject.tokens)
    with pytest.raises(ValueError, match="knows no tags"):
        METHODS["gradcam"].explain(untagged, Target("tag", text=kinds()[0].name))


@pytest.mark.parametrize(
    "tokens", [(), (4, 5, 6, 7, 8, 9, 10, END), (PAD, END), (4, END, 5), (START, 4), (4, 999)]
)
def test_what_is_no_caption_is_refused(subject: Subject, tokens: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="a caption has"):
        Subject(subject.model, subject.image, tokens)


def test_what_is_no_picture_is_refused(subject: Subject) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Subject(subject.model, subject.image[..., 0], subject.tokens)
