"""Discovery and the bank on a captioner whose words depend on known colours."""

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.concepts.bank import Bank, BankConcept, BankMetadata
from inference.concepts.discovery import (
    Concept,
    Discovery,
    DiscoveryParams,
    discover,
    evenly_spaced,
)
from inference.concepts.fitter import BankFitter, FitSizes
from inference.concepts.patches import MemoryCache
from inference.concepts.survey import CaptionSurvey
from inference.progress import finish
from inference.webp import decode_webp
from models.datasets import Dataset
from tests.support.captioners.coloured import (
    BLUE,
    CAPTION,
    RED,
    ColouredCaptionModel,
    coloured_scenes,
)
from tests.support.captioners.subwords import PIECES

SCENES, SEARCHED = 40, 20
PARAMS = DiscoveryParams(images=SEARCHED, random_concepts=9999)


@pytest.fixture(scope="module")
def scenes() -> list[NDArray[np.uint8]]:
    return coloured_scenes(SCENES)


@pytest.fixture(scope="module")
def cache() -> MemoryCache:
    return MemoryCache()


@pytest.fixture(scope="module")
def model() -> ColouredCaptionModel:
    return ColouredCaptionModel(likes=RED, dislikes=BLUE)


@pytest.fixture(scope="module")
def discovery(
    model: ColouredCaptionModel, scenes: list[NDArray[np.uint8]], cache: MemoryCache
) -> Discovery:
    return finish(discover(model, scenes, "dog", PARAMS, cache=cache))


@pytest.fixture(scope="module")
def bank(model: ColouredCaptionModel, scenes: list[NDArray[np.uint8]], cache: MemoryCache) -> Bank:
    # The fitter segments the first images, discovery evenly spaced ones.
    first = evenly_spaced(range(SCENES), SEARCHED)
    names = tuple(map(str, [*first, *(set(range(SCENES)) - set(first))]))
    survey = CaptionSurvey(names, (CAPTION,) * SCENES, PIECES)
    dataset = cast(Dataset, SimpleNamespace(image=lambda name: scenes[int(name)]))
    sizes = FitSizes(segmented=SEARCHED, tested=SCENES)
    fitter = BankFitter(model, dataset, survey, ["dog"], sizes, cache)
    fitted, concepts = finish(fitter.fit("dog"))
    metadata = BankMetadata(
        weights_sha256="", images=SCENES, word_counts={"dog": SCENES}, fitted={"dog": fitted}
    )
    return Bank(metadata, tuple(concepts))


def colour(concept: Concept | BankConcept, model: ColouredCaptionModel) -> str:
    """Name the colour in whose direction a concept lies."""
    likeness = {
        name: float(concept.direction @ model.response(rgb)) / np.linalg.norm(model.response(rgb))
        for name, rgb in (("red", RED), ("blue", BLUE))
    }
    name, largest = max(likeness.items(), key=lambda pair: pair[1])
    return name if largest > 0.7 else "other"


def test_colours_that_matter_are_found_and_no_others(
    discovery: Discovery, model: ColouredCaptionModel
) -> None:
    found = {(colour(each, model), each.evidence.verdict) for each in discovery.concepts}

    assert ("red", "supports") in found
    assert ("blue", "opposes") in found
    assert ("other", "not shown") in found
    assert not {("other", "supports"), ("other", "opposes")} & found
    assert not {("red", "opposes"), ("blue", "supports")} & found
    assert discovery.notes == ()
    rate = discovery.false_positives
    assert rate
    assert (rate.runs, rate.concepts) == (1000, 1000 * len(discovery.concepts))
    assert rate.false_runs / rate.runs <= 0.07


def test_bank_keeps_what_discovery_shows_in_the_same_direction(
    discovery: Discovery, bank: Bank, model: ColouredCaptionModel
) -> None:
    shown = [each for each in discovery.concepts if each.evidence.matters]

    assert len(bank.concepts) == len(shown) > 1
    for kept in bank.concepts:
        same = max(shown, key=lambda each: float(each.direction @ kept.direction))
        np.testing.assert_allclose(kept.direction, same.direction, atol=1e-5)
        assert (kept.evidence.verdict, kept.tcav) == (same.evidence.verdict, same.evidence.tcav)
        assert kept.effect == pytest.approx(same.evidence.effect, rel=0.05)
        # The picture is the captioner's, not a scene.
        assert not decode_webp(kept.picture).any()
    assert {each.evidence.verdict for each in bank.concepts} == {"supports", "opposes"}
    assert bank.metadata.fitted["dog"].tests == len(discovery.concepts)


def test_word_that_depends_on_nothing_has_no_concepts(
    scenes: list[NDArray[np.uint8]], cache: MemoryCache
) -> None:
    found = finish(discover(ColouredCaptionModel(), scenes, "dog", PARAMS, cache=cache))

    assert found.concepts
    assert {each.evidence.verdict for each in found.concepts} == {"not shown"}
