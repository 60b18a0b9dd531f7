import numpy as np
from numpy.typing import NDArray

from inference.concepts.clustering import MAX_SEGMENTS, Clusters, k_means, prune
from inference.progress import finish


def blobs(count: int, size: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    centres = 50 * np.eye(count, 8)
    return (centres.repeat(size, axis=0) + rng.normal(size=(count * size, 8))).astype(np.float32)


def test_separate_clusters_are_found() -> None:
    points = blobs(5, 60)

    found = finish(k_means(points, 5, seed=0))

    labels = found.labels.reshape(5, 60)
    assert (labels == labels[:, :1]).all()
    assert set(labels[:, 0]) == set(range(5))
    centre = points[:60].mean(axis=0)
    np.testing.assert_allclose(
        found.distances[:60], np.linalg.norm(points[:60] - centre, axis=1), rtol=1e-3
    )


def test_k_means_yields_progress() -> None:
    done = list(k_means(np.tile(blobs(5, 60), (40, 1)), 5, seed=0))

    assert len(done) > 6
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] <= 1


def test_there_are_at_most_as_many_clusters_as_distinct_points() -> None:
    found = finish(k_means(np.eye(3, dtype=np.float32).repeat(4, axis=0), 25, seed=0))

    assert sorted(np.bincount(found.labels)) == [4, 4, 4]
    assert found.distances.max() < 1e-3


def drop_reason(size: int, images: int, of: int) -> str:
    """Return why a cluster of this size, in this many of the images, is dropped."""
    owners = np.arange(size) % images
    (found,) = prune(Clusters(np.zeros(size, np.intp), np.zeros(size, np.float32)), owners, of)
    assert (found.size, found.images) == (size, images)
    return found.drop_reason


def test_clusters_are_pruned_by_the_rules_of_the_paper() -> None:
    assert drop_reason(26, 26, of=50) == ""
    assert drop_reason(25, 25, of=50) == "only 25 of 50 images have it"
    assert drop_reason(51, 13, of=50) == ""
    assert drop_reason(50, 13, of=50) != ""
    assert drop_reason(51, 12, of=50) != ""
    assert drop_reason(101, 2, of=50) == ""
    assert drop_reason(100, 2, of=50) != ""


def test_clusters_of_few_segments_are_dropped() -> None:
    assert drop_reason(11, 3, of=4) == "it has only 11 segments"
    assert drop_reason(12, 3, of=4) == ""


def test_40_segments_nearest_the_centre_are_kept() -> None:
    distances = np.random.default_rng(0).permutation(100).astype(np.float32)

    (found,) = prune(Clusters(np.zeros(100, np.intp), distances), np.arange(100), 100)

    assert list(distances[found.members]) == list(range(MAX_SEGMENTS))
    assert found.size == 100


def test_clusters_in_more_images_come_first() -> None:
    labels = np.repeat([0, 1], [20, 30])
    found = prune(Clusters(labels, np.zeros(50, np.float32)), np.arange(50), 30)
    assert [each.images for each in found] == [30, 20]
