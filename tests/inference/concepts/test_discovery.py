import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts.__main__ import main
from inference.concepts.discovery import Discovery, DiscoveryParams, caption_pictures, discover
from inference.concepts.tcav import slope
from inference.explanations.objective import Terms
from inference.progress import Step, finish
from models.language.vocabulary import PAD
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import SIDE

FEW = DiscoveryParams(clusters=6, random_patches=120, draws=99)


@pytest.fixture(scope="module")
def pictures() -> list[NDArray[np.uint8]]:
    return list(photographs(SIDE))


@pytest.fixture(scope="module")
def word(model: CaptionModel, pictures: list[NDArray[np.uint8]]) -> str:
    """That is said of most pictures."""
    said = Counter(
        token for each in finish(caption_pictures(model, pictures)) for token in set(each.tokens)
    )
    return str(model.captioner.vocabulary.words[said.most_common(1)[0][0]])


@pytest.fixture(scope="module")
def discovered(
    model: CaptionModel, pictures: list[NDArray[np.uint8]], word: str
) -> tuple[list[Step], Discovery]:
    steps = []
    work = discover(model, pictures, word, FEW)
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


def test_concepts_are_clusters_of_segments_of_the_pictures_that_say_the_word(
    model: CaptionModel, pictures: list[NDArray[np.uint8]], discovered: tuple[object, Discovery]
) -> None:
    discovery = discovered[1]

    assert discovery.scenes == discovery.pictures == discovery.sought <= len(pictures)
    assert discovery.concepts
    assert [each.id for each in discovery.concepts] == [
        f"{discovery.word}-{number + 1}" for number in range(len(discovery.concepts))
    ]
    sizes = [each.cluster.size for each in discovery.concepts]
    assert sum(sizes) + sum(each.size for each in discovery.dropped) == discovery.patches
    for each in discovery.concepts:
        assert each.direction.shape == (1280,)
        assert np.linalg.norm(each.direction) == pytest.approx(1, abs=1e-3)
        assert all(crop.shape == (SIDE, SIDE, 3) for crop in each.crops)
        assert 1 <= len(each.crops) <= 10


def test_few_pictures_are_not_enough_evidence(discovered: tuple[object, Discovery]) -> None:
    discovery = discovered[1]

    assert {each.evidence.verdict for each in discovery.concepts} == {"not enough evidence"}
    assert "40 are needed" in discovery.notes[0]


def test_progress_grows_from_nothing_to_nearly_all(
    discovered: tuple[list[Step], Discovery],
) -> None:
    done = [step.done for step in discovered[0]]

    assert done == sorted(done)
    assert done[0] == 0
    assert 0.8 < done[-1] <= 1
    assert max(np.diff(done)) < 0.5
    assert len({step.doing for step in discovered[0]}) >= 5


def test_frames_of_one_scene_count_once(
    model: CaptionModel, pictures: list[NDArray[np.uint8]], word: str
) -> None:
    frames = [pictures[0]] * 3
    said = finish(caption_pictures(model, frames))[0].tokens[0]

    found = finish(discover(model, frames, model.captioner.vocabulary.words[said], FEW, video=True))

    assert (found.pictures, found.scenes) == (3, 1)


def test_a_word_that_is_never_said_has_no_concepts(
    model: CaptionModel, pictures: list[NDArray[np.uint8]]
) -> None:
    said = {token for each in finish(caption_pictures(model, pictures)) for token in each.tokens}
    vocabulary = model.captioner.vocabulary
    unsaid = next(vocabulary.words[each] for each in range(4, len(vocabulary)) if each not in said)

    found = finish(discover(model, pictures, unsaid, FEW))

    assert (found.concepts, found.pictures) == ((), 0)
    assert "of none of the 6 pictures" in found.notes[0]


def test_what_cannot_be_asked_is_refused(
    model: CaptionModel, pictures: list[NDArray[np.uint8]], word: str
) -> None:
    for unknown in ("zzz", "<end>"):
        with pytest.raises(ValueError, match="does not know the word"):
            next(discover(model, pictures, unknown))
    with pytest.raises(ValueError, match="one picture at least"):
        next(discover(model, [], word))


def test_the_slope_is_that_of_the_logit_when_all_cells_change_alike(
    model: CaptionModel, pictures: list[NDArray[np.uint8]]
) -> None:
    (captioned,) = finish(caption_pictures(model, pictures[:1]))
    tokens, index = captioned.tokens, 1
    direction = np.random.default_rng(0).normal(size=(captioned.grid.shape[-1],)).astype(np.float32)
    minus = np.full(2, PAD, np.int32)
    asked = Terms(np.array([PAD, tokens[1]], np.int32), minus)
    grids = np.stack([captioned.grid + step * direction for step in (-0.01, 0.01)])

    z = model.graphs.caption_logits(grids, np.array(tokens[:2], np.int32), asked)

    cells = captioned.grid.shape[0] * captioned.grid.shape[1]
    along = float(slope(model, captioned.grid, tokens, index) @ direction) * cells
    assert along == pytest.approx((z[1] - z[0]) / 0.02, rel=0.05, abs=1e-4)


@pytest.fixture
def folder(tmp_path: Path, pictures: list[NDArray[np.uint8]]) -> Path:
    made = tmp_path / "pictures"
    made.mkdir()
    for number, each in enumerate(pictures):
        cv2.imwrite(str(made / f"{number}.png"), each[..., ::-1])
    return made


def test_the_command_writes_what_was_found_and_a_sheet_of_each_concept(
    tagged: Path,
    folder: Path,
    tmp_path: Path,
    word: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"

    of_whom = ["--captioner", str(tagged), "--limit", "2"]
    status = main(["discover", str(folder), "--word", word, "--out", str(out), *of_whom])

    assert status == 0
    found = json.loads((out / "concepts.json").read_text())
    assert (found["word"], found["pictures"]) == (word, 2)
    sheets = {each["picture"] for each in found["concepts"]}
    assert {file.name for file in out.iterdir()} == {"concepts.json", *sheets}
    for each in found["concepts"]:
        assert each["verdict"] == "not enough evidence"
        assert np.asarray(cv2.imread(str(out / each["picture"]))).shape[1] == 1280
    told = capsys.readouterr().out
    assert f"pictures say `{word}`" in told
    assert "40 are needed" in told


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--word", "zzz"], "does not know the word 'zzz'"),
        (["--word", "a", "--every", "0"], "--every is 0"),
        (["--word", "a", "--limit", "0"], "--limit is 0"),
        (["--word", "a", "--captioner", "none"], "none"),
    ],
)
def test_a_command_that_cannot_be_done_leaves_nothing_behind(
    tagged: Path,
    folder: Path,
    tmp_path: Path,
    options: list[str],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    captioner = [] if "--captioner" in options else ["--captioner", str(tagged)]

    status = main(["discover", str(folder), "--out", str(tmp_path / "out"), *captioner, *options])

    assert status == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
