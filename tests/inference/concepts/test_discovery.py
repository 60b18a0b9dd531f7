import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.concepts.discovery import Discovery, DiscoveryParams, caption_images, discover
from inference.concepts.tcav import logit_gradient
from inference.progress import Progress, finish
from tests.inference.conftest import TAGGED_SIDE

FEW = DiscoveryParams(clusters=6, random_concepts=99)


@pytest.fixture(scope="module")
def discovered(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]], frequent_word: str
) -> tuple[list[Progress], Discovery]:
    steps = []
    work = discover(model, images, frequent_word, FEW)
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


def test_concepts_are_clusters_of_segments(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]], discovered: tuple[object, Discovery]
) -> None:
    discovery = discovered[1]

    assert discovery.scenes == discovery.matching == discovery.searched <= len(images)
    assert discovery.concepts
    assert [each.id for each in discovery.concepts] == [
        f"{discovery.word}-{number + 1}" for number in range(len(discovery.concepts))
    ]
    sizes = [each.cluster.size for each in discovery.concepts]
    assert sum(sizes) + sum(each.size for each in discovery.dropped) == discovery.patches
    for each in discovery.concepts:
        assert each.direction.shape == (1280,)
        assert np.linalg.norm(each.direction) == pytest.approx(1, abs=1e-3)
        assert all(crop.shape == (TAGGED_SIDE, TAGGED_SIDE, 3) for crop in each.crops)
        assert 1 <= len(each.crops) <= 10


def test_few_scenes_are_not_enough_evidence(discovered: tuple[object, Discovery]) -> None:
    discovery = discovered[1]

    assert {each.evidence.verdict for each in discovery.concepts} == {"not enough evidence"}
    assert "40 are needed" in discovery.notes[0]


def test_progress_increases_to_the_end(
    discovered: tuple[list[Progress], Discovery],
) -> None:
    done = [step.done for step in discovered[0]]

    assert done == sorted(done)
    assert done[0] == 0
    assert 0.8 < done[-1] <= 1
    assert max(np.diff(done)) < 0.5
    assert len({step.doing for step in discovered[0]}) >= 5


def test_frames_of_one_scene_count_once(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]], frequent_word: str
) -> None:
    frames = [images[0]] * 3
    used = finish(caption_images(model, frames))[0].tokens[0]

    found = finish(discover(model, frames, model.captioner.vocabulary.words[used], FEW, video=True))

    assert (found.matching, found.scenes) == (3, 1)


def test_word_in_no_caption_has_no_concepts(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]]
) -> None:
    used = {token for each in finish(caption_images(model, images)) for token in each.tokens}
    vocabulary = model.captioner.vocabulary
    missing = next(vocabulary.words[each] for each in range(4, len(vocabulary)) if each not in used)

    found = finish(discover(model, images, missing, FEW))

    assert (found.concepts, found.matching) == ((), 0)
    assert "is in none of the 6 captions" in found.notes[0]


def test_invalid_input_is_refused(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]], frequent_word: str
) -> None:
    for unknown in ("zzz", "<end>"):
        with pytest.raises(ValueError, match="not in the captioner's vocabulary"):
            next(discover(model, images, unknown))
    with pytest.raises(ValueError, match="at least one is needed"):
        next(discover(model, [], frequent_word))


def test_logit_gradient_is_the_response_to_a_change_of_all_cells(
    model: LstmCaptionModel, images: list[NDArray[np.uint8]]
) -> None:
    (captioned,) = finish(caption_images(model, images[:1]))
    tokens, index = captioned.tokens, 1
    direction = np.random.default_rng(0).normal(size=(captioned.grid.shape[-1],)).astype(np.float32)
    grids = np.stack([captioned.grid + step * direction for step in (-0.01, 0.01)])

    words = np.array(tokens[:2], np.int32)
    z = model.token_scores(grids, words, words[:, None]).logits[:, index, 0]

    cells = captioned.grid.shape[0] * captioned.grid.shape[1]
    change = float(logit_gradient(model, captioned.grid, tokens, index) @ direction) * cells
    assert change == pytest.approx((z[1] - z[0]) / 0.02, rel=0.05, abs=1e-4)
