"""Tests of perturbations: against foolbox, and invariants that hold for all of them."""

from collections.abc import Iterator
from typing import Any

import foolbox
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.attacks import Norm, fgsm, noise, norms, pgd, project

Array = NDArray[np.float32]

SIDE = 6
NORMS: tuple[Norm, ...] = ("linf", "l2")
_WEIGHTS = np.random.default_rng(3).normal(0, 0.02, (2, SIDE * SIDE * 3, 8)).astype(np.float32)


def classify(pixels: tf.Tensor) -> tf.Tensor:
    """A small nonlinear network with 8 classes."""
    flat = tf.reshape(pixels, (-1, SIDE * SIDE * 3)) / 16
    return tf.sin(flat @ _WEIGHTS[0]) * 3 + tf.tanh(flat @ _WEIGHTS[1])


def random_images(seed: int, count: int = 3, low: float = 0, high: float = 255) -> Array:
    random = np.random.default_rng(seed)
    return random.uniform(low, high, (count, SIDE, SIDE, 3)).astype(np.float32)


def gradient(labels: NDArray[np.int64]) -> Any:
    """Return the gradient of the cross-entropy as a function of pixels."""

    def at(pixels: Array) -> Array:
        watched = tf.constant(pixels)
        with tf.GradientTape() as tape:
            tape.watch(watched)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, classify(watched))
        return np.asarray(tape.gradient(loss, watched))

    return at


@pytest.fixture(scope="module")
def clean() -> Array:
    return random_images(0)


@pytest.fixture(scope="module")
def labels(clean: Array) -> NDArray[np.int64]:
    return np.asarray(tf.argmax(classify(clean), axis=1))


def attacked_by(attack: Any, clean: Array, labels: NDArray[np.int64], epsilon: float) -> Array:
    model = foolbox.TensorFlowModel(classify, bounds=(0, 255))
    criterion = foolbox.criteria.Misclassification(tf.constant(labels))
    return np.asarray(attack.run(model, tf.constant(clean), criterion, epsilon=epsilon))


ONE_STEP = {"linf": foolbox.attacks.FGSM, "l2": foolbox.attacks.FGM}
MANY_STEPS = {
    "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
    "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
}


@pytest.mark.parametrize("epsilon", [0.5, 8.0, 120.0])
@pytest.mark.parametrize("norm", NORMS)
def test_fgsm_equals_foolbox(
    clean: Array, labels: NDArray[np.int64], norm: Norm, epsilon: float
) -> None:
    theirs = attacked_by(ONE_STEP[norm](), clean, labels, epsilon)

    ours = clean + fgsm(gradient(labels)(clean), clean, epsilon, norm)

    np.testing.assert_allclose(ours, theirs, atol=1e-4 * epsilon)
    assert np.abs(ours - clean).max() > 0.01 * epsilon


@pytest.mark.parametrize("steps", [4, 7])
@pytest.mark.parametrize("norm", NORMS)
def test_pgd_equals_foolbox(
    clean: Array, labels: NDArray[np.int64], norm: Norm, steps: int
) -> None:
    epsilon = 30.0 if norm == "linf" else 300.0
    attack = MANY_STEPS[norm](rel_stepsize=2.5 / steps, steps=steps, random_start=False)
    theirs = attacked_by(attack, clean, labels, epsilon)

    *_, last = pgd(gradient(labels), clean, epsilon, norm, steps)

    np.testing.assert_allclose(clean + last, theirs, atol=1e-3 * epsilon)
    one = fgsm(gradient(labels)(clean), clean, epsilon, norm)
    assert np.abs(last - one).max() > 0.1 * np.abs(one).max()


def perturbations(
    seed: int, epsilon: float, norm: Norm, low: float, high: float
) -> Iterator[tuple[Array, Array]]:
    """Yield perturbations of all kinds, each with its images."""
    random = np.random.default_rng(seed)
    clean = random_images(seed, low=low, high=high)
    wild = random.normal(0, 3 * epsilon, clean.shape).astype(np.float32)
    gradients = random.normal(size=clean.shape).astype(np.float32)
    yield clean, project(wild, clean, epsilon, norm)
    yield clean, fgsm(gradients, clean, epsilon, norm)
    yield clean, noise(random, clean, epsilon, norm)
    labels = random.integers(0, 8, len(clean))
    for perturbation in pgd(gradient(labels), clean, epsilon, norm, 3, start=wild):
        yield clean, perturbation


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    epsilon=st.floats(0.01, 400),
    norm=st.sampled_from(NORMS),
    low=st.sampled_from([0.0, 250.0, 255.0]),
)
def test_every_perturbation_stays_in_the_ball_and_in_the_range(
    seed: int, epsilon: float, norm: Norm, low: float
) -> None:
    for clean, perturbation in perturbations(seed, epsilon, norm, low, 255.0):
        assert perturbation.dtype == np.float32
        assert norms(perturbation, norm).max() <= epsilon * (1 + 1e-4) + 1e-4
        assert (clean + perturbation).min() >= -1e-4
        assert (clean + perturbation).max() <= 255 + 1e-4


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    epsilons=st.lists(st.floats(0.05, 60), min_size=3, max_size=3),
    norm=st.sampled_from(NORMS),
    black=st.floats(0, 0.7),
)
def test_noise_has_the_norm_even_if_it_is_clipped(
    seed: int, epsilons: list[float], norm: Norm, black: float
) -> None:
    random = np.random.default_rng(seed)
    clean = random_images(seed, low=60, high=195)
    clean[random.random(clean.shape) < black] = 0
    radius = np.array(epsilons, np.float32)

    perturbation = noise(random, clean, radius, norm)

    np.testing.assert_allclose(norms(perturbation, norm), radius, rtol=1e-4, atol=1e-4)


def test_noise_is_as_large_as_the_range_allows() -> None:
    white = np.full((1, SIDE, SIDE, 3), 254.0, np.float32)
    most = float(np.sqrt(white.size) * 255)

    perturbation = noise(np.random.default_rng(0), white, most, "l2")

    assert set(np.unique(np.abs(perturbation))) == {1.0, 254.0}


def test_noise_is_different_each_time() -> None:
    random, clean = np.random.default_rng(0), random_images(0)

    once, again = (noise(random, clean, 5.0, "linf") for _ in range(2))

    assert abs(float(np.mean(np.sign(once) == np.sign(again))) - 0.5) < 0.1
    assert not np.array_equal(once[0] > 0, once[1] > 0)


def test_each_image_has_its_own_epsilon(clean: Array, labels: NDArray[np.int64]) -> None:
    epsilons = np.array([1.0, 2.0, 4.0], np.float32)

    for norm in NORMS:
        perturbation = fgsm(gradient(labels)(clean), clean, epsilons, norm)
        np.testing.assert_allclose(norms(perturbation, norm), epsilons, rtol=0.2)
        assert (norms(perturbation, norm) <= epsilons + 1e-4).all()


@pytest.mark.parametrize("norm", NORMS)
def test_outside_a_mask_nothing_changes(
    clean: Array, labels: NDArray[np.int64], norm: Norm
) -> None:
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[1:3, 2:5] = 1

    for perturbation in pgd(gradient(labels), clean, 9.0, norm, 3, mask):
        assert np.all(perturbation[:, mask == 0] == 0)
        assert np.all(perturbation[:, mask == 1].any(axis=(1, 2)))


def test_pgd_resumes_from_its_start(clean: Array, labels: NDArray[np.int64]) -> None:
    first, *_ = pgd(gradient(labels), clean, 20.0, "linf", 5)
    *_, at_once = pgd(gradient(labels), clean, 20.0, "linf", 5)
    resumed = list(pgd(gradient(labels), clean, 20.0, "linf", 5, start=first))

    np.testing.assert_allclose(resumed[3], at_once, atol=1e-3)
