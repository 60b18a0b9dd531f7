import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from inference.captioners.lstm import LstmCaptionModel
from inference.concepts.analysis import analyse
from inference.concepts.bank import (
    Bank,
    BankConcept,
    BankMetadata,
    FittedWord,
    measure_background,
    write_bank,
)
from inference.concepts.findings import ConceptFindings, ConceptParams, FalsePositives
from inference.progress import Progress
from inference.webp import decode_webp
from models.digests import weights_sha256
from models.language import END
from models.word_kinds import word_kind
from tests.inference.conftest import TAGGED_SIDE, photographs
from tests.support.captioners.lstm import LstmCaptionedImage

RATE = FalsePositives(level=0.05, runs=100, concepts=500, false_runs=4, false_concepts=5)
PICTURE = b"a WebP file"
"""Of the bank's concepts; findings have it as it is stored."""


def run(
    model: LstmCaptionModel,
    subject: LstmCaptionedImage,
    params: ConceptParams,
    frames: tuple[np.ndarray, ...] = (),
) -> tuple[list[Progress], ConceptFindings]:
    steps = []
    work = analyse(model, subject.image, subject.tokens, params, frames)
    while True:
        try:
            steps.append(next(work))
        except StopIteration as end:
            return steps, end.value


@pytest.fixture
def words(subject: LstmCaptionedImage) -> list[str]:
    return [subject.model.captioner.vocabulary.words[token] for token in subject.words]


@pytest.fixture
def bank_folder(
    tagged: Path, tmp_path: Path, model: LstmCaptionModel, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of the captioner's folder, to write a bank into."""
    folder = Path(shutil.copytree(tagged, tmp_path / "captioner"))
    monkeypatch.setattr(model, "folder", folder)
    return folder


def make_bank(folder: Path, word: str, grid: np.ndarray) -> Bank:
    """Make a bank of one word: the direction of a cell of the grid, and its opposite."""
    direction = grid[1, 2] - grid.mean(axis=(0, 1))
    known = measure_background(np.stack([-direction, direction]), grid[None])
    concepts = tuple(
        BankConcept(
            word=word,
            number=place + 1,
            direction=known.vectors[place],
            mean=float(known.means[place]),
            deviation=float(known.deviations[place]),
            tcav=0.9,
            effect=3.0,
            p=1e-3,
            scenes=50,
            picture=PICTURE,
        )
        for place in range(2)
    )
    fitted = {word: FittedWord(images=9, scenes=50, tests=5, false_positives=RATE)}
    metadata = BankMetadata(
        weights_sha256=weights_sha256(folder), images=99, word_counts={word: 50}, fitted=fitted
    )
    return Bank(metadata, concepts)


def test_words_are_scored_with_the_bank(
    bank_folder: Path, model: LstmCaptionModel, subject: LstmCaptionedImage, words: list[str]
) -> None:
    index = next(place for place, word in enumerate(words) if word in ("dog", "ball", "grass"))
    write_bank(bank_folder, make_bank(bank_folder, words[index], subject.grid))

    steps, findings = run(model, subject, ConceptParams(rank=2))

    assert (findings.scope, findings.frames) == ("bank", 99)
    assert findings.false_positives == RATE
    (found,) = [each for each in findings.words if each.index == index]
    assert sorted(each.id for each in found.concepts) == [f"{words[index]}-1", f"{words[index]}-2"]
    planted = next(each for each in found.concepts if each.id.endswith("2"))
    assert planted.map.values.argmax() == planted.map.values.shape[1] + 2
    assert planted.map.values.min() == 0
    assert planted.presence == pytest.approx(float(planted.map.values.max()), rel=1e-4)
    supports = [each.support for each in found.concepts]
    assert supports == sorted(supports, reverse=True)
    # Opposite directions have equal support: activation and slope both change sign.
    assert supports[0] == pytest.approx(supports[1], abs=1e-3)
    assert {each.evidence.verdict for each in found.concepts} == {"supports"}
    assert findings.pictures == {each.picture: PICTURE for each in found.concepts}
    assert all(
        "not in the concept bank" in each.why_none
        for each in findings.words
        if each.text != words[index]
    )
    assert findings.factors is not None
    assert len(findings.factors.components) == 2
    assert findings.took_s > 0
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert 0 <= done[0] <= done[-1] <= 1
    assert findings.to_json()["words"]


def test_without_a_bank_the_grid_is_still_factorised(
    bank_folder: Path, model: LstmCaptionModel, subject: LstmCaptionedImage
) -> None:
    _, findings = run(model, subject, ConceptParams())

    assert findings.words
    assert all("has no concept bank" in each.why_none for each in findings.words)
    assert "has no concept bank" in findings.notes[0]
    assert findings.factors is not None


def test_the_findings_of_a_caption_without_words_are_json(
    model: LstmCaptionModel, subject: LstmCaptionedImage
) -> None:
    _, findings = run(model, replace(subject, tokens=(END,)), ConceptParams())

    assert findings.words == ()
    assert findings.factors is not None
    assert {each.importance for each in findings.factors.components} == {0.0}
    json.dumps(findings.to_json(), allow_nan=False)


def test_word_that_is_not_in_the_caption_is_refused(
    model: LstmCaptionModel, subject: LstmCaptionedImage
) -> None:
    with pytest.raises(ValueError, match="does not contain 'zebra'"):
        run(model, subject, ConceptParams(word="zebra"))


def test_analysis_can_be_closed_early(model: LstmCaptionModel, subject: LstmCaptionedImage) -> None:
    work = analyse(model, subject.image, subject.tokens, ConceptParams(rank=2))
    next(work)

    work.close()

    with pytest.raises(StopIteration):
        next(work)


@pytest.mark.parametrize(
    "values",
    [{"scope": "all"}, {"rank": 1}, {"concepts": 0}, {"word": "Dog!"}, {"seed": -1}, {"more": 1}],
)
def test_invalid_params_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ConceptParams.model_validate(values)


def test_concepts_are_discovered_in_frames(
    model: LstmCaptionModel, subject: LstmCaptionedImage, words: list[str]
) -> None:
    objects = [word for word in words if word_kind(word) == "object"]
    chosen = objects[0] if objects else words[0]

    steps, findings = run(
        model,
        subject,
        ConceptParams(scope="frames", word=chosen, rank=2),
        tuple(photographs(TAGGED_SIDE)),
    )

    assert findings.scope == "frames"
    assert {each.text for each in findings.words} == {chosen}
    for word in findings.words:
        assert word.concepts or word.why_none
        for concept in word.concepts:
            assert concept.evidence.verdict == "not enough evidence"
            assert decode_webp(findings.pictures[concept.picture]).ndim == 3
    assert any("40 are needed" in note or "is in none" in note for note in findings.notes)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
