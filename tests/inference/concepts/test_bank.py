from pathlib import Path

import numpy as np
import pytest

from inference.concepts.bank import (
    FILE,
    Bank,
    BankConcept,
    BankError,
    BankMetadata,
    FittedWord,
    has_bank,
    read_bank,
    write_bank,
)
from inference.concepts.findings import FalsePositives
from inference.webp import decode_webp, encode_webp
from models.digests import weights_sha256

CHANNELS = 1280
RATE = FalsePositives(level=0.05, runs=100, concepts=800, false_runs=4, false_concepts=5)


def concept(word: str, number: int, p: float, effect: float = 3.0) -> BankConcept:
    random = np.random.default_rng(number)
    direction = random.normal(size=CHANNELS).astype(np.float32)
    ramp = np.linspace(0, 255, 16, dtype=np.uint8)
    return BankConcept(
        word=word,
        number=number,
        direction=direction / np.linalg.norm(direction),
        mean=-0.25,
        deviation=1.5,
        tcav=0.9,
        effect=effect,
        p=p,
        scenes=60,
        picture=encode_webp(np.stack([np.broadcast_to(ramp, (16, 16))] * 3, axis=-1)),
    )


def make_bank(folder: Path) -> Bank:
    metadata = BankMetadata(
        weights_sha256=weights_sha256(folder),
        images=100,
        word_counts={"dog": 60, "ball": 50, "tree": 44, "grass": 41, "red": 3},
        fitted={
            "dog": FittedWord(images=20, scenes=60, tests=8, false_positives=RATE),
            "ball": FittedWord(images=20, scenes=50, tests=3, false_positives=RATE),
            "tree": FittedWord(images=20, scenes=44, tests=1, false_positives=None),
        },
    )
    return Bank(metadata, (concept("dog", 1, 1e-4), concept("dog", 2, 0.02, effect=-2.0)))


def test_bank_round_trip(folder: Path) -> None:
    bank = make_bank(folder)
    assert not has_bank(folder)

    write_bank(folder, bank)
    read = read_bank(folder)

    assert has_bank(folder)
    assert read.metadata == bank.metadata
    for before, after in zip(bank.concepts, read.concepts, strict=True):
        np.testing.assert_allclose(after.direction, before.direction, atol=1e-3)
        assert after.tcav == pytest.approx(before.tcav)
        assert after.picture == before.picture
        assert (after.id, after.mean, after.deviation, after.p, after.scenes) == (
            before.id, before.mean, before.deviation, before.p, before.scenes,
        )  # fmt: skip
    assert decode_webp(read.concepts[0].picture).shape == (16, 16, 3)
    assert read.indices(["dog", "cat"]) == [0, 1]
    assert read.indices(["ball"]) == []


def test_bank_of_another_captioner_is_refused(folder: Path) -> None:
    bank = make_bank(folder)
    other = bank.metadata.model_copy(update={"weights_sha256": "0" * 64})
    write_bank(folder, Bank(other, bank.concepts))

    with pytest.raises(BankError, match=r"another captioner's weights.*inference.concepts fit"):
        read_bank(folder)


def test_missing_and_damaged_banks_have_different_errors(folder: Path) -> None:
    with pytest.raises(BankError, match="has no concept bank"):
        read_bank(folder)

    write_bank(folder, make_bank(folder))
    whole = (folder / FILE).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not a bank", b""):
        (folder / FILE).write_bytes(damaged)
        with pytest.raises(BankError, match="truncated or damaged"):
            read_bank(folder)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("red", "concept bank: 3 training captions contain the word, but at least 40 are needed"),
        ("zebra", "0 training captions contain the word"),
        ("grass", "fitted for other words"),
        ("ball", "none of 3 concepts that were tested was shown to matter for “ball” in 50 scenes"),
        ("tree", "the only concept that was tested was not shown to matter for “tree” in 44"),
    ],
)
def test_missing_reason_of_words_without_concepts(folder: Path, word: str, why: str) -> None:
    assert why in make_bank(folder).missing_reason(word)


def test_concepts_support_or_oppose_by_their_effect(folder: Path) -> None:
    first, second = make_bank(folder).concepts

    assert (first.evidence.verdict, first.evidence.p) == ("supports", 1e-4)
    assert (second.evidence.verdict, second.evidence.effect) == ("opposes", -2)


def test_false_positives_are_those_of_all_words(folder: Path) -> None:
    write_bank(folder, make_bank(folder))

    assert read_bank(folder).false_positives() == FalsePositives(0.05, 200, 1600, 8, 10)
