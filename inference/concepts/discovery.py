"""Pictures with what the captioner says of them.

The stages of ACE, each as work in slices that yields what part of it is done.

ACE: concepts of a word, discovered in pictures (Ghorbani et al., NeurIPS 2019).

Pictures of which the captioner says the word are cut into segments; segments that look alike to it
are concepts, if enough pictures have them; and the word's logit is tested for leaning on them
(TCAV, Kim et al., ICML 2018, over scenes).
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning import features
from inference.captioning.model import CaptionModel
from inference.concepts.clustering import CLUSTERS, Cluster, k_means, prune
from inference.concepts.findings import Evidence
from inference.concepts.footage import scenes
from inference.concepts.patches import (
    MemoryCache,
    PatchCache,
    Patches,
    fingerprint,
    gathered,
    patches_of,
    random_patches,
)
from inference.concepts.tcav import (
    DRAWS,
    ENOUGH_SCENES,
    RandomSets,
    Tested,
    examine,
    of_scenes,
    random_sets,
    slope,
    verdicts,
)
from inference.progress import Course, Step, within
from models.language import END, PAD, SPECIAL_WORDS
from models.preprocessing import squeeze

Array = NDArray[np.float32]

Pictures = Sequence[NDArray[np.uint8]]

Random = tuple[RandomSets, Array]
"""The random sets, and random patches that are in none."""

ENOUGH_OTHERS = 10
"""Pictures that do not say the word; with fewer, random patches come from all segments."""

_SHOWN = 10
"""Segments of a concept that are cut out, to be looked at."""

_CAPTION_S, _SLOPE_S, _PICTURE_S, _PATCH_S, _CLUSTERING_S, _TEST_S = (
    0.03,
    0.016,
    1.1,
    0.014,
    0.1,
    0.4,
)
"""What each stage costs, of a picture; `_PATCH_S` of a patch, and `_TEST_S` of a cluster."""


@dataclass(frozen=True, slots=True, eq=False)
class Captioned:
    """A picture's grid and caption."""

    grid: NDArray[np.float32]
    """[rows, columns, C]."""
    tokens: tuple[int, ...]
    """Of the caption that the search found, its end left out."""

    def place(self, word: int) -> int | None:
        """Where a word is said first; None if it is not."""
        return self.tokens.index(word) if word in self.tokens else None


def caption_pictures(
    model: CaptionModel, pictures: Sequence[NDArray[np.uint8]]
) -> Generator[float, None, list[Captioned]]:
    """Caption pictures, RGB uint8 [S, S, 3] of the captioner's own size; yields what is done."""
    captioned: list[Captioned] = []
    for pixels in pictures:
        yield len(captioned) / len(pictures)
        grids = model.encode_pixels(pixels[None])
        said = model.search(grids).tokens[0]
        words = tuple(int(token) for token in said if token not in (END, PAD))
        captioned.append(Captioned(grids[0], words))
    return captioned


def spread(places: Sequence[int], most: int) -> list[int]:
    """Choose so many, evenly: the frames of a video's beginning are no better than others."""
    chosen = np.unique(np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int))
    return [places[each] for each in chosen]


def slopes_of(
    model: CaptionModel, captioned: Sequence[Captioned], said: Sequence[int], token: int
) -> Generator[float, None, Array]:
    """Differentiate the word's logit in each picture that says it: [N, C]."""
    slopes: list[Array] = []
    for place in said:
        yield len(slopes) / len(said)
        each = captioned[place]
        slopes.append(slope(model, each.grid, each.tokens, each.tokens.index(token)))
    return np.array(slopes, np.float32)


def cut(
    model: CaptionModel, pixels: Pictures, sought: Sequence[int], cache: PatchCache
) -> Generator[float, None, Patches]:
    """Cut pictures [S, S, 3] into patches, which bear the numbers of `sought`."""
    encoder = fingerprint(model)
    parts = []
    for number, place in enumerate(sought):
        work = patches_of(model, pixels[place], place, cache, encoder)
        parts.append((yield from within(number / len(sought), 1 / len(sought), work)))
    return gathered(parts)


def draw(
    model: CaptionModel, others: Pictures, own: Patches, count: int, rng: np.random.Generator
) -> Generator[float, None, Random]:
    """Draw random patches of other pictures, or of the word's own if there are too few."""
    if len(others) < ENOUGH_OTHERS:
        drawn = rng.permutation(own.activations)[:count]
    else:
        drawn = yield from random_patches(model, others, count, rng)
    half = len(drawn) // 2
    return random_sets(drawn[:half]), drawn[half:]


def examine_all(
    slopes: Array,
    patches: Patches,
    kept: Sequence[Cluster],
    random: Random,
    draws: int,
    rng: np.random.Generator,
) -> Generator[float, None, list[Tested]]:
    """Examine what the word's logit makes of each cluster."""
    sets, others = random
    tested = []
    for number, cluster in enumerate(kept):
        concept = patches.activations[cluster.members]
        work = examine(slopes, concept, others, sets, rng, draws)
        tested.append((yield from within(number / len(kept), 1 / len(kept), work)))
    return tested


@dataclass(frozen=True, slots=True)
class DiscoveryParams:
    """The choices; the defaults are the paper's where it makes one."""

    pictures: int = 50
    """In which concepts are sought, at most; the test takes all that say the word."""
    clusters: int = CLUSTERS
    random_patches: int = 800
    """Half of them for the random sets, half for random concepts."""
    draws: int = DRAWS
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """A concept that was discovered."""

    id: str
    """`dog-2`: the word, and the concept's number, from 1."""
    direction: Array
    """[C], of length 1."""
    cluster: Cluster
    crops: tuple[NDArray[np.uint8], ...]
    """The most typical segments, on grey: uint8 [S, S, 3] each."""
    tested: Tested
    evidence: Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """What was discovered for one word."""

    word: str
    pictures: int
    """Of which the captioner says the word."""
    sought: int
    """In which concepts were sought."""
    scenes: int
    """Of the pictures that say the word."""
    patches: int
    """That were clustered."""
    concepts: tuple[Concept, ...]
    """Those that most pictures have first."""
    dropped: tuple[Cluster, ...]
    """Clusters that are no concepts."""
    notes: tuple[str, ...]
    """What a reader has to know, for people."""
    captioned: tuple[Captioned, ...]
    """All pictures that were given, in their order."""


def discover(
    model: CaptionModel,
    pictures: Pictures,
    word: str,
    params: DiscoveryParams = DiscoveryParams(),
    *,
    video: bool = False,
    random_pictures: Pictures = (),
    cache: PatchCache | None = None,
) -> Generator[Step, None, Discovery]:
    """Discover the concepts of a word in pictures.

    Args:
        model: The captioner.
        pictures: RGB, uint8 [H, W, 3] each, one at least.
        word: A word of the captioner's vocabulary.
        params: The choices.
        video: Whether the pictures are frames of a video, some of which may show the same scene;
            else each is a scene.
        random_pictures: More pictures to draw random patches from, which are not captioned.
        cache: Of patches, by picture and encoder.

    Yields:
        How far it is, about every 60 ms.

    Raises:
        ValueError: If the captioner does not know the word, a picture is none, or all of them
            together have too few segments.
    """
    names = model.captioner.vocabulary.words
    if word in SPECIAL_WORDS or word not in names:
        raise ValueError(f"the captioner does not know the word {word!r}")
    if not pictures:
        raise ValueError("concepts are sought in one picture at least")
    for each in (*pictures, *random_pictures):
        model.check(each)
    pixels = [squeeze(each, model.image_size) for each in pictures]
    spare = [squeeze(each, model.image_size) for each in random_pictures]
    rng = np.random.default_rng(params.seed)
    course = _course(len(pixels), params)

    captioned = yield from course.stage("caption", "Captioning", caption_pictures(model, pixels))
    token = names.index(word)
    said = [place for place, each in enumerate(captioned) if each.place(token) is not None]
    if not said:
        return _nothing(word, captioned)
    sought = spread(said, params.pictures)
    course.expect("slopes", _SLOPE_S * len(said))
    course.expect("cut", _PICTURE_S * len(sought))
    course.expect("cluster", _CLUSTERING_S * len(sought))

    doing = f"Asking what `{word}` rests on"
    slopes = yield from course.stage("slopes", doing, slopes_of(model, captioned, said, token))
    scene = scenes([features(captioned[place].grid) for place in said]) if video else said
    of_scene = of_scenes(slopes, np.array(scene, np.int32))

    cutting = cut(model, pixels, sought, cache or MemoryCache())
    patches = yield from course.stage("cut", "Looking at segments", cutting)
    others = spare + [pixels[place] for place in range(len(pixels)) if place not in said]
    drawing = draw(model, others, patches, params.random_patches, rng)
    random = yield from course.stage("draw", "Looking at random segments", drawing)

    clustering = k_means(patches.activations, params.clusters, params.seed)
    clusters = yield from course.stage("cluster", "Finding segments that look alike", clustering)
    judged = prune(clusters, patches.pictures, len(sought))
    kept = [each for each in judged if not each.dropped]
    testing = examine_all(of_scene, patches, kept, random, params.draws, rng)
    tested = yield from course.stage("test", "Testing the concepts", testing)
    evidence = verdicts(tested)
    return Discovery(
        word=word,
        pictures=len(said),
        sought=len(sought),
        scenes=len(of_scene),
        patches=len(patches.segments),
        concepts=tuple(
            Concept(
                id=f"{word}-{number + 1}",
                direction=each.cavs.direction,
                cluster=cluster,
                crops=_crops(pixels, patches, cluster, model.image_size),
                tested=each,
                evidence=judgement,
            )
            for number, (cluster, each, judgement) in enumerate(
                zip(kept, tested, evidence, strict=True)
            )
        ),
        dropped=tuple(each for each in judged if each.dropped),
        notes=_notes(word, len(of_scene), len(others)),
        captioned=tuple(captioned),
    )


def _course(pictures: int, params: DiscoveryParams) -> Course:
    most = min(params.pictures, pictures)
    return Course(
        caption=_CAPTION_S * pictures,
        slopes=_SLOPE_S * pictures,
        cut=_PICTURE_S * most,
        draw=_PATCH_S * params.random_patches,
        cluster=_CLUSTERING_S * most,
        test=_TEST_S * params.clusters,
    )


def _crops(
    pixels: Pictures, patches: Patches, cluster: Cluster, side: int
) -> tuple[NDArray[np.uint8], ...]:
    return tuple(patches.segments[each].cut(pixels, side) for each in cluster.members[:_SHOWN])


def _notes(word: str, scene_count: int, others: int) -> tuple[str, ...]:
    notes = []
    if scene_count < ENOUGH_SCENES:
        scenes_say = "1 scene is" if scene_count == 1 else f"{scene_count} scenes are"
        notes.append(
            f"`{word}` was tested in too few scenes: {scenes_say} not enough evidence, "
            f"{ENOUGH_SCENES} are needed"
        )
    if others < ENOUGH_OTHERS:
        notes.append(
            f"hardly any picture is without `{word}`: concepts were told from random segments of "
            "the same pictures"
        )
    return tuple(notes)


def _nothing(word: str, captioned: Sequence[Captioned]) -> Discovery:
    note = f"the captioner says `{word}` of none of the {len(captioned)} pictures"
    return Discovery(word, 0, 0, 0, 0, (), (), (note,), tuple(captioned))
