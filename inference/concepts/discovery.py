"""ACE: discover the concepts of a word in images (Ghorbani et al., NeurIPS 2019).

Images with the word in their caption are cut into segments. Clusters of segments with similar
activations are concepts, if enough images have them, and the dependence of the word's logit on each
is tested (TCAV, Kim et al., ICML 2018, over scenes). Shapes: S the captioner's image size, C
channels of the grid, N images with the word.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.captioning import frame_features
from inference.captioning.model import Ability, CaptionModel
from inference.concepts.clustering import CLUSTER_COUNT, Cluster, k_means, prune
from inference.concepts.findings import MIN_SCENES, Evidence, FalsePositives
from inference.concepts.patches import (
    MemoryCache,
    PatchCache,
    Patches,
    concatenate,
    encoder_fingerprint,
    extract_patches,
)
from inference.concepts.tcav import (
    RANDOM_CONCEPTS,
    RANDOM_RUNS,
    concept_direction,
    group_scenes,
    logit_gradient,
    mean_per_scene,
    run_tcav,
)
from inference.concepts.verdicts import verdicts
from inference.progress import Progress, Stage, StagedProgress, scale_progress

Array = NDArray[np.float32]

Images = Sequence[NDArray[np.uint8]]

_CROPS = 10
"""Segments of a concept that are cropped as examples."""

_CAPTION_S, _GRADIENT_S, _SEGMENT_S, _CLUSTER_S, _TEST_S = 0.03, 0.016, 0.3, 0.1, 0.1
"""Cost of each stage for one image."""


@dataclass(frozen=True, slots=True)
class DiscoveryParams:
    """Parameters; the defaults are the paper's, where it states them."""

    images: int = 50
    """Maximum number of images to segment; the test uses all images with the word."""
    clusters: int = CLUSTER_COUNT
    random_concepts: int = RANDOM_CONCEPTS
    """See `run_tcav`."""
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedGrid:
    """The encoding and the caption of an image."""

    grid: Array
    """The encoding, see `inference.captioning.model`."""
    tokens: tuple[int, ...]
    """The caption that beam search found, without its end token."""


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """A discovered concept."""

    id: str
    """`dog-2`: the word, and the concept's number, from 1."""
    direction: Array
    """[C], of length 1."""
    cluster: Cluster
    crops: tuple[NDArray[np.uint8], ...]
    """The most typical segments, on grey: uint8 [S, S, 3] each."""
    evidence: Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Discovery:
    """The concepts discovered for one word."""

    word: str
    matching: int
    """Images with the word in their caption."""
    searched: int
    """Images that were segmented to find concepts."""
    scenes: int
    """Scenes of the images with the word."""
    patches: int
    """Patches that were clustered."""
    concepts: tuple[Concept, ...]
    """Those that most images have first."""
    dropped: tuple[Cluster, ...]
    """Clusters that are not concepts."""
    false_positives: FalsePositives | None
    """Of the tests of the concepts; None if there was nothing to test or too few scenes."""
    notes: tuple[str, ...]
    """Warnings for readers."""
    captioned: tuple[CaptionedGrid, ...]
    """All given images, in their order."""


def discover(
    model: CaptionModel,
    images: Images,
    word: str,
    params: DiscoveryParams = DiscoveryParams(),
    *,
    video: bool = False,
    cache: PatchCache | None = None,
) -> Generator[Progress, None, Discovery]:
    """Discover the concepts of a word in images.

    Args:
        model: The captioner.
        images: RGB, uint8 [H, W, 3] each, at least one.
        word: A word that the captioner can say.
        params: The parameters.
        video: Whether the images are frames of a video, several of which may show the same scene;
            otherwise each image is a scene.
        cache: Of patches, by image and encoder.

    Yields:
        Progress, about every 60 ms.

    Raises:
        ValueError: If the captioner has no gradients or cannot say the word, or an image is
            invalid.
    """
    if not model.can(Ability.GRADIENTS):
        raise ValueError("concepts cannot be discovered: this captioner has no gradients")
    model.wording.tokens_of(word)
    if not images:
        raise ValueError("no images: at least one is needed to discover concepts")
    for each in images:
        model.check(each)
    pixels = [model.preprocess(each) for each in images]
    progress = _staged_progress(word, len(pixels), params)

    captioned = yield from progress.run("caption", caption_images(model, pixels))
    texts = [model.wording.texts(each.tokens) for each in captioned]
    matching = [index for index, each in enumerate(texts) if word in each]
    if not matching:
        return _no_concepts(word, captioned)
    searched = evenly_spaced(matching, params.images)
    progress.lower_cost("gradients", _GRADIENT_S * len(matching))
    progress.lower_cost("segment", _SEGMENT_S * len(searched))
    progress.lower_cost("cluster", _CLUSTER_S * len(searched))
    progress.lower_cost("test", _TEST_S * len(searched))

    differentiating = logit_gradients(model, captioned, matching, word)
    gradients = yield from progress.run("gradients", differentiating)
    scenes = (
        group_scenes(
            [frame_features(cells) for cells in _cells(model, captioned, matching)],
            model.steadiness.scene_cut,
        )
        if video
        else np.array(matching, np.int32)
    )
    scene_gradients = mean_per_scene(gradients, scenes)

    extracting = extract_all_patches(model, pixels, searched, cache or MemoryCache())
    patches = yield from progress.run("segment", extracting)
    clustering = k_means(patches.activations, params.clusters, params.seed)
    clusters = yield from progress.run("cluster", clustering)
    pruned = prune(clusters, patches.images, len(searched))
    kept = [each for each in pruned if not each.drop_reason]
    testing = run_tcav(
        scene_gradients,
        patches.activations,
        [each.members for each in kept],
        np.random.default_rng(params.seed),
        params.random_concepts,
        RANDOM_RUNS if len(scene_gradients) >= MIN_SCENES else 0,
    )
    tests = yield from progress.run("test", testing)
    return Discovery(
        word=word,
        matching=len(matching),
        searched=len(searched),
        scenes=len(scene_gradients),
        patches=len(patches.segments),
        concepts=tuple(
            Concept(
                id=f"{word}-{number}",
                direction=concept_direction(patches.activations, cluster.members),
                cluster=cluster,
                crops=_crops(pixels, patches, cluster, model.image_size),
                evidence=evidence,
            )
            for number, (cluster, evidence) in enumerate(
                zip(kept, verdicts(tests.results), strict=True), 1
            )
        ),
        dropped=tuple(each for each in pruned if each.drop_reason),
        false_positives=tests.false_positives,
        notes=_notes(word, len(scene_gradients)),
        captioned=tuple(captioned),
    )


def caption_images(
    model: CaptionModel, images: Images
) -> Generator[float, None, list[CaptionedGrid]]:
    """Caption images of the captioner's size, RGB uint8 [S, S, 3]; yields progress in 0..1."""
    captioned: list[CaptionedGrid] = []
    for pixels in images:
        yield len(captioned) / len(images)
        grids = model.encode_pixels(pixels[None])
        tokens = model.search(grids).tokens[0]
        captioned.append(CaptionedGrid(grids[0], model.wording.strip(tokens)))
    return captioned


def _cells(
    model: CaptionModel, captioned: Sequence[CaptionedGrid], indices: Sequence[int]
) -> Array:
    """Return the cells of the images at these indices, [N, rows, columns, C]."""
    return model.cells(np.stack([captioned[index].grid for index in indices]))


def evenly_spaced(indices: Sequence[int], limit: int) -> list[int]:
    """Choose at most `limit` indices, evenly: a video's first frames are no better than others."""
    count = min(limit, len(indices))
    chosen = np.unique(np.linspace(0, len(indices) - 1, count).round().astype(int))
    return [indices[each] for each in chosen]


def logit_gradients(
    model: CaptionModel, captioned: Sequence[CaptionedGrid], matching: Sequence[int], word: str
) -> Generator[float, None, Array]:
    """Differentiate the word's logit in each image with the word: [N, C]."""
    gradients: list[Array] = []
    for index in matching:
        yield len(gradients) / len(matching)
        each = captioned[index]
        index = model.wording.texts(each.tokens).index(word)
        gradients.append(logit_gradient(model, each.grid, each.tokens, index))
    return np.array(gradients, np.float32)


def extract_all_patches(
    model: CaptionModel, pixels: Images, searched: Sequence[int], cache: PatchCache
) -> Generator[float, None, Patches]:
    """Extract the patches of the images [S, S, 3] at the indices `searched`."""
    encoder = encoder_fingerprint(model)
    parts = []
    for number, index in enumerate(searched):
        work = extract_patches(model, pixels[index], index, cache, encoder)
        scaled = scale_progress(number / len(searched), 1 / len(searched), work)
        parts.append((yield from scaled))
    return concatenate(parts)


def _staged_progress(word: str, images: int, params: DiscoveryParams) -> StagedProgress:
    searched = min(params.images, images)
    return StagedProgress(
        {
            "caption": Stage("Captioning", _CAPTION_S * images),
            "gradients": Stage(f"Computing gradients of “{word}”", _GRADIENT_S * images),
            "segment": Stage("Segmenting images", _SEGMENT_S * searched),
            "cluster": Stage("Clustering segments that look alike", _CLUSTER_S * searched),
            "test": Stage("Testing the concepts", _TEST_S * searched),
        }
    )


def _crops(
    pixels: Images, patches: Patches, cluster: Cluster, side: int
) -> tuple[NDArray[np.uint8], ...]:
    return tuple(patches.segments[each].crop(pixels, side) for each in cluster.members[:_CROPS])


def _notes(word: str, scenes: int) -> tuple[str, ...]:
    if scenes >= MIN_SCENES:
        return ()
    count = "1 scene" if scenes == 1 else f"{scenes} scenes"
    return (
        f"not enough evidence: “{word}” was tested over {count}, at least {MIN_SCENES} are needed",
    )


def _no_concepts(word: str, captioned: Sequence[CaptionedGrid]) -> Discovery:
    note = f"“{word}” is in none of the {len(captioned)} captions"
    return Discovery(word, 0, 0, 0, 0, (), (), None, (note,), tuple(captioned))
