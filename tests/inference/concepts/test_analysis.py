import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from inference.captioning.model import CaptionModel
from inference.concepts.analysis import analyse
from inference.concepts.bank import (
    About,
    Bank,
    BankConcept,
    FittedWord,
    background,
    encoded_picture,
    write_bank,
)
from inference.concepts.findings import ConceptFindings, ConceptParams
from inference.explanations.subject import Subject
from inference.progress import Step
from inference.word_kinds import word_kind
from models.digests import weights_sha256
from tests.inference.conftest import photographs
from tests.inference.explanations.conftest import SIDE


def run(
    model: CaptionModel,
    subject: Subject,
    params: ConceptParams,
    frames: tuple[np.ndarray, ...] = (),
) -> tuple[list[Step], ConceptFindings]:
    steps = []
    work = analyse(model, subject.image, subject.tokens, params, frames)
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture
def words(subject: Subject) -> list[str]:
    return [subject.model.captioner.vocabulary.words[token] for token in subject.words]


@pytest.fixture
def banked(
    tagged: Path, tmp_path: Path, model: CaptionModel, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The captioner as if it lay in a folder of its own, to put a bank into."""
    folder = Path(shutil.copytree(tagged, tmp_path / "banked"))
    monkeypatch.setattr(model, "folder", folder)
    return folder


def bank_of(folder: Path, word: str, grid: np.ndarray) -> Bank:
    """Of one word: the direction of a cell of the grid, and its opposite."""
    towards = grid[1, 2] - grid.mean(axis=(0, 1))
    known = background(np.stack([-towards, towards]), grid[None])
    picture = encoded_picture(np.zeros((8, 8, 3), np.uint8))
    concepts = tuple(
        BankConcept(
            word=word,
            number=place + 1,
            direction=known.vectors[place],
            mean=float(known.means[place]),
            deviation=float(known.deviations[place]),
            tcav=0.9,
            tcav_random=0.5,
            p=1e-3,
            accuracy=0.9,
            scenes=50,
            picture=picture,
        )
        for place in range(2)
    )
    fitted = {word: FittedWord(pictures=9, scenes=50, others=[])}
    about = About(
        weights_sha256=weights_sha256(folder), captioned=99, said={word: 50}, fitted=fitted
    )
    return Bank(about, concepts)


def test_words_are_held_against_the_bank(
    banked: Path, model: CaptionModel, subject: Subject, words: list[str]
) -> None:
    index = next(place for place, word in enumerate(words) if word in ("dog", "ball", "grass"))
    write_bank(banked, bank_of(banked, words[index], subject.grid))

    steps, findings = run(model, subject, ConceptParams(rank=2))

    assert (findings.scope, findings.frames) == ("bank", 99)
    (found,) = [each for each in findings.words if each.index == index]
    assert sorted(each.id for each in found.concepts) == [f"{words[index]}-1", f"{words[index]}-2"]
    planted = next(each for each in found.concepts if each.id.endswith("2"))
    assert planted.map.values.argmax() == planted.map.values.shape[1] + 2
    assert planted.map.values.min() == 0
    assert planted.presence == pytest.approx(float(planted.map.values.max()), rel=1e-4)
    supports = [each.support for each in found.concepts]
    assert supports == sorted(supports, reverse=True)
    # What one direction adds, its opposite adds too: there is as much less of it.
    assert supports[0] == pytest.approx(supports[1], abs=1e-3)
    assert {each.evidence.verdict for each in found.concepts} == {"supports"}
    assert set(findings.pictures) == {each.picture for each in found.concepts}
    assert all("knows no" in each.why_none for each in findings.words if each.text != words[index])
    assert findings.factors is not None
    assert len(findings.factors.components) == 2
    assert findings.took_s > 0
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert 0 <= done[0] <= done[-1] <= 1
    assert findings.to_json()["words"]


def test_without_a_bank_each_word_says_so_and_the_grid_is_still_taken_apart(
    banked: Path, model: CaptionModel, subject: Subject
) -> None:
    _, findings = run(model, subject, ConceptParams())

    assert findings.words
    assert all("has no concept bank" in each.why_none for each in findings.words)
    assert "has no concept bank" in findings.notes[0]
    assert findings.factors is not None


def test_a_word_that_the_caption_does_not_say_is_refused(
    model: CaptionModel, subject: Subject
) -> None:
    with pytest.raises(ValueError, match="does not say 'zebra'"):
        run(model, subject, ConceptParams(word="zebra"))


def test_closing_early_ends_it_at_once(model: CaptionModel, subject: Subject) -> None:
    work = analyse(model, subject.image, subject.tokens, ConceptParams(rank=2))
    next(work)

    work.close()

    with pytest.raises(StopIteration):
        next(work)


@pytest.mark.parametrize(
    "values",
    [{"scope": "all"}, {"rank": 1}, {"concepts": 0}, {"word": "Dog!"}, {"seed": -1}, {"more": 1}],
)
def test_other_choices_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConceptParams.model_validate(values)


def test_concepts_of_a_word_are_discovered_in_the_frames_of_a_stream(
    model: CaptionModel, subject: Subject, words: list[str]
) -> None:
    things = [word for word in words if word_kind(word) == "object"]
    sought = things[0] if things else words[0]

    steps, findings = run(
        model, subject, ConceptParams(scope="frames", word=sought, rank=2), tuple(photographs(SIDE))
    )

    assert findings.scope == "frames"
    assert {each.text for each in findings.words} == {sought}
    for word in findings.words:
        assert word.concepts or word.why_none
        for concept in word.concepts:
            assert concept.evidence.verdict == "not enough evidence"
            assert findings.pictures[concept.picture].dtype == np.uint8
    assert any("40 are needed" in note or "of none" in note for note in findings.notes)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
