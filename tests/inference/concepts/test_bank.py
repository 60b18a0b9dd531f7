from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.concepts.bank import (
    FILE,
    About,
    Bank,
    BankConcept,
    BankError,
    FittedWord,
    decoded_picture,
    encoded_picture,
    has_bank,
    read_bank,
    write_bank,
)
from inference.concepts.word_concepts import evidence_of
from models.digests import weights_sha256

CHANNELS = 1280


def concept(word: str, number: int, p: float, tcav: float = 0.9, scenes: int = 60) -> BankConcept:
    random = np.random.default_rng(number)
    direction = random.normal(size=CHANNELS).astype(np.float32)
    ramp = np.linspace(0, 255, 16, dtype=np.uint8)
    return BankConcept(
        word=word,
        number=number,
        direction=direction / np.linalg.norm(direction),
        mean=-0.25,
        deviation=1.5,
        tcav=tcav,
        tcav_random=0.5,
        p=p,
        accuracy=0.9,
        scenes=scenes,
        picture=encoded_picture(np.stack([np.broadcast_to(ramp, (16, 16))] * 3, axis=-1)),
    )


def made(folder: Path) -> Bank:
    about = About(
        weights_sha256=weights_sha256(folder),
        captioned=100,
        said={"dog": 60, "ball": 50, "grass": 41, "red": 3},
        fitted={
            "dog": FittedWord(pictures=20, scenes=60, others=[0.5] * 8),
            "ball": FittedWord(pictures=20, scenes=50, others=[]),
        },
    )
    return Bank(about, (concept("dog", 1, 1e-4), concept("dog", 2, 0.02, tcav=0.2)))


def test_a_bank_is_read_as_it_was_written(folder: Path) -> None:
    bank = made(folder)
    assert not has_bank(folder)

    write_bank(folder, bank)
    read = read_bank(folder)

    assert has_bank(folder)
    assert read.about == bank.about
    for before, after in zip(bank.concepts, read.concepts, strict=True):
        np.testing.assert_allclose(after.direction, before.direction, atol=1e-3)
        assert after.tcav == pytest.approx(before.tcav)
        assert after.picture == before.picture
        assert (after.id, after.mean, after.deviation, after.p, after.scenes) == (
            before.id, before.mean, before.deviation, before.p, before.scenes,
        )  # fmt: skip
    assert decoded_picture(read.concepts[0].picture).shape == (16, 16, 3)
    assert read.of(["dog", "cat"]) == [0, 1]
    assert read.of(["ball"]) == []


def test_a_bank_of_another_captioner_is_refused_and_told_what_to_do(folder: Path) -> None:
    bank = made(folder)
    other = bank.about.model_copy(update={"weights_sha256": "0" * 64})
    write_bank(folder, Bank(other, bank.concepts))

    with pytest.raises(BankError, match=r"another captioner's weights.*inference.concepts fit"):
        read_bank(folder)


def test_a_missing_bank_and_a_damaged_one_are_told_apart(folder: Path) -> None:
    with pytest.raises(BankError, match="has no concept bank"):
        read_bank(folder)

    write_bank(folder, made(folder))
    whole = (folder / FILE).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"no bank", b""):
        (folder / FILE).write_bytes(damaged)
        with pytest.raises(BankError, match="cut off or damaged"):
            read_bank(folder)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("red", "knows no `red`: the captioner said it of 3 scenes of the training data, and 40"),
        ("zebra", "said it of 0 scenes"),
        ("grass", "fitted for other words"),
        ("ball", "no concept of `ball` held in the 50 scenes"),
    ],
)
def test_a_word_without_concepts_says_why(folder: Path, word: str, why: str) -> None:
    assert why in made(folder).why_none(word)


def test_concepts_are_judged_corrected_for_all_that_were_tested(folder: Path) -> None:
    bank = made(folder)

    first, second = evidence_of(bank)

    assert (first.verdict, second.verdict) == ("supports", "no effect")
    assert first.p == pytest.approx(1e-4 * 10)
    fitted = {"dog": FittedWord(pictures=20, scenes=60, others=[])}
    alone = Bank(bank.about.model_copy(update={"fitted": fitted}), bank.concepts)
    assert [each.verdict for each in evidence_of(alone)] == ["supports", "opposes"]
    few = replace(bank.concepts[0], scenes=39)
    assert evidence_of(Bank(bank.about, (few,)))[0].verdict == "not enough evidence"
