"""How often captions are explained, from what it costs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.captioning.live_maps import Every, ExplanationBudget


def budget(share: float, gradcam_ms: float = 0.0, saliency_ms: float = 0.0) -> ExplanationBudget:
    made = ExplanationBudget(share)
    made.gradcam.measure(gradcam_ms)
    made.saliency.measure(saliency_ms)
    return made


@pytest.mark.parametrize(
    ("gradcam_ms", "saliency_ms", "expected"),
    [
        (5, 70, Every(1, 1)),
        (50, 200, Every(1, 1)),
        (50, 201, Every(1, 2)),
        (50, 2000, Every(1, 10)),
        # Saliency at its widest takes 201 of 250 ms a caption: Grad-CAM gives way too.
        (50, 2010, Every(2, 10)),
        (200, 1000, Every(2, 10)),
        (260, 0, Every(2, 10)),
        # Not even one in ten of each can be afforded.
        (2000, 2000, Every(16, 16)),
        (100_000, 100_000, Every(100, 100)),
    ],
)
def test_saliency_becomes_rarer_first_and_then_gradcam(
    gradcam_ms: float, saliency_ms: float, expected: Every
) -> None:
    made = budget(0.25, gradcam_ms, saliency_ms)

    assert made.every(1.0, gradcam=True, saliency=True) == expected


@given(
    st.floats(0, 5000), st.floats(0, 5000), st.floats(0.01, 1), st.floats(0.25, 10), st.booleans()
)
def test_the_share_is_kept(
    gradcam_ms: float, saliency_ms: float, share: float, interval_s: float, both: bool
) -> None:
    made = budget(share, gradcam_ms, saliency_ms)
    every = made.every(interval_s, gradcam=True, saliency=both)

    spent = gradcam_ms / every.gradcam + (saliency_ms / every.saliency if both else 0)
    allowed = 1e3 * interval_s * share
    assert spent <= allowed * 1.0001 or every.gradcam == 100


@given(st.floats(0, 5000), st.floats(0, 5000), st.floats(0.25, 10))
def test_a_longer_interval_never_means_rarer_maps(
    gradcam_ms: float, saliency_ms: float, interval_s: float
) -> None:
    made = budget(0.25, gradcam_ms, saliency_ms)
    shorter = made.every(interval_s, gradcam=True, saliency=True)
    longer = made.every(2 * interval_s, gradcam=True, saliency=True)

    assert longer.gradcam <= shorter.gradcam
    assert longer.saliency <= shorter.saliency


def test_what_is_not_wanted_is_never_computed_and_costs_nothing() -> None:
    made = budget(0.25, 100, 900)

    assert made.every(1.0, gradcam=False, saliency=False) == Every(0, 0)
    assert made.every(1.0, gradcam=True, saliency=False) == Every(1, 0)
    assert made.every(1.0, gradcam=False, saliency=True) == Every(0, 4)


def test_without_a_share_nothing_is_computed() -> None:
    assert ExplanationBudget(0).every(1.0, gradcam=True, saliency=True) == Every(0, 0)


def test_what_was_not_measured_yet_is_tried() -> None:
    assert ExplanationBudget(0.1).every(1.0, gradcam=True, saliency=True) == Every(1, 1)


def test_one_measurement_that_is_out_of_the_ordinary_changes_nothing_and_a_lasting_one_does() -> (
    None
):
    made = ExplanationBudget(0.25)
    for ms in (100, 3000, 100, 110):
        made.saliency.measure(ms)
    assert made.every(1.0, gradcam=True, saliency=True) == Every(1, 1)
    for ms in (900, 900, 900):
        made.saliency.measure(ms)
    assert made.every(1.0, gradcam=True, saliency=True) == Every(1, 4)
    for ms in (100, 100, 100):
        made.saliency.measure(ms)
    assert made.every(1.0, gradcam=True, saliency=True) == Every(1, 1)
