import numpy as np
import pytest

from inference.concepts.bank import ConceptDirections, measure_background, score

CHANNELS = 20


def planted(random: np.random.Generator) -> tuple[ConceptDirections, np.ndarray, np.ndarray]:
    """Return two directions, a grid with +1st at (1, 2) and -2nd at (0, 0), and other grids."""
    vectors = random.normal(size=(2, CHANNELS)).astype(np.float32)
    others = random.normal(1, 1, (30, 4, 5, CHANNELS)).astype(np.float32)
    directions = measure_background(vectors, others)
    grid = random.normal(1, 0.1, (4, 5, CHANNELS)).astype(np.float32)
    grid[1, 2] += 6 * directions.vectors[0]
    grid[0, 0] -= 6 * directions.vectors[1]
    return directions, grid, others


def test_planted_directions_are_found_in_their_cells() -> None:
    directions, grid, _ = planted(np.random.default_rng(0))

    scores = score(grid, np.zeros((1, *grid.shape), np.float32), directions)

    assert np.unravel_index(scores.cells[0].argmax(), (4, 5)) == (1, 2)
    assert np.unravel_index(scores.cells[1].argmin(), (4, 5)) == (0, 0)
    assert scores.presence[0] == scores.cells[0, 1, 2] > 5
    assert scores.presence[1] < 3


def test_cells_are_in_deviations_above_the_mean_of_other_images() -> None:
    directions, _, others = planted(np.random.default_rng(1))

    cells = np.stack([score(each, others[:1], directions).cells for each in others], axis=1)

    np.testing.assert_allclose(np.linalg.norm(directions.vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(cells.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(cells.std(axis=(1, 2, 3)), 1, rtol=1e-3)


def test_support_is_what_a_linear_logit_gains_above_the_mean() -> None:
    random = np.random.default_rng(2)
    directions, grid, _ = planted(random)
    gradients = random.normal(size=(3, *grid.shape)).astype(np.float32)

    support = score(grid, gradients, directions).support

    for concept, vector in enumerate(directions.vectors):
        above = grid @ vector - directions.means[concept]
        # The grid with the mean activation of the concept.
        without = grid - above[..., None] * vector
        gained = (gradients * (grid - without)).sum(axis=(1, 2, 3))
        assert support[:, concept] == pytest.approx(gained, rel=1e-3, abs=1e-3)
