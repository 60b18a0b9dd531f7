from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.captioners.lstm import LstmCaptionModel
from inference.concepts.patches import (
    CachedImage,
    FolderCache,
    MemoryCache,
    PatchCache,
    Patches,
    concatenate,
    encoder_fingerprint,
    extract_patches,
    mean_cells,
)
from inference.progress import finish
from inference.segmentation import RESOLUTIONS, distinct, patch, segment
from tests.inference.conftest import TAGGED_SIDE, photographs


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.asarray(photographs(TAGGED_SIDE)[0])


@pytest.fixture(scope="module")
def patches(model: LstmCaptionModel, image: NDArray[np.uint8]) -> Patches:
    return finish(extract_patches(model, image, 3, MemoryCache(), "encoder"))


def test_patches_are_segments_of_all_resolutions(
    image: NDArray[np.uint8], patches: Patches
) -> None:
    masks = distinct([segment(image, count) for count in RESOLUTIONS])
    assert len(patches.segments) == len(patches.activations) == len(masks)
    assert set(patches.images) == {3}
    for place in (0, len(masks) - 1):
        crop = patches.segments[place].crop([image] * 4, TAGGED_SIDE)
        np.testing.assert_array_equal(crop, patch(image, masks[place], TAGGED_SIDE))


def test_activations_are_means_over_the_pixels_of_the_whole_encoded_image(
    model: LstmCaptionModel, image: NDArray[np.uint8], patches: Patches
) -> None:
    cells = model.encode_pixels(image[None])[0]
    masks = distinct([segment(image, count) for count in RESOLUTIONS])
    rows, columns = (np.arange(TAGGED_SIDE) * size // TAGGED_SIDE for size in cells.shape[:2])

    for place in (0, len(masks) // 2, len(masks) - 1):
        pixels = cells[rows[:, None], columns][masks[place]]
        # Pixels on the border of two cells belong to both.
        similar = np.corrcoef(patches.activations[place], pixels.mean(axis=0))[0, 1]
        assert similar > 0.98


def test_cells_count_by_the_area_that_is_covered() -> None:
    cells = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    mask = np.zeros((2, 4, 4), bool)
    mask[0, :2, :3] = True
    mask[1, 3, 3] = True

    found = mean_cells(cells, mask)

    np.testing.assert_allclose(found, [(2 * cells[0, 0] + cells[0, 1]) / 3, cells[1, 1]])


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_cached_images_are_not_encoded_again(
    model: LstmCaptionModel,
    image: NDArray[np.uint8],
    patches: Patches,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    cache: PatchCache = MemoryCache() if kind == "memory" else FolderCache(tmp_path)
    finish(extract_patches(model, image, 0, cache, "encoder"))
    if kind == "folder":
        cache = FolderCache(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(model, "encode_pixels", None)
        again = finish(extract_patches(model, image, 3, cache, "encoder"))
        with pytest.raises(TypeError):
            finish(extract_patches(model, image, 3, cache, "another"))
        with pytest.raises(TypeError):
            finish(extract_patches(model, 255 - image, 3, cache, "encoder"))
    np.testing.assert_array_equal(again.activations, patches.activations)
    np.testing.assert_array_equal(again.segments[-1].mask, patches.segments[-1].mask)
    assert again.segments[-1].image == 3


def cached(fill: int) -> CachedImage:
    return CachedImage((np.full((4, 4), fill, np.int32),), np.ones((1, 4), np.float32))


def test_memory_cache_keeps_recently_used_entries() -> None:
    cache = MemoryCache(limit=2 * cached(0).size)
    cache.put("a", cached(0))
    cache.put("b", cached(1))
    assert cache.get("a")
    cache.put("c", cached(2))

    assert cache.get("a")
    assert not cache.get("b")
    assert cache.get("c")


def test_damaged_cache_files_are_ignored(tmp_path: Path) -> None:
    cache = FolderCache(tmp_path / "new")
    cache.put("a", cached(1))
    (file,) = (tmp_path / "new").iterdir()
    file.write_bytes(file.read_bytes()[:50])

    assert cache.get("a") is None
    cache.put("a", cached(1))
    assert cache.get("a")


def test_fingerprint_identifies_the_encoder(
    model: LstmCaptionModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = encoder_fingerprint(model)
    assert encoder_fingerprint(model) == own
    encode = model.encode_pixels
    monkeypatch.setattr(model, "encode_pixels", lambda pixels: encode(pixels) * 1.01)
    assert encoder_fingerprint(model) != own


def test_patches_are_concatenated(patches: Patches) -> None:
    both = concatenate([patches, patches])

    assert len(both.segments) == len(both.activations) == 2 * len(patches.segments)
    assert both.segments[-1] is patches.segments[-1]
