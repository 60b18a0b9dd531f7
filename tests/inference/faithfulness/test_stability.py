from pathlib import Path

import numpy as np
import pytest

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.methods import METHODS
from inference.faithfulness.measurement import Sample, caption_image
from inference.faithfulness.stability import (
    PAN_FRAMES,
    VideoError,
    measure_stability,
    pan,
    read_video,
    top_overlap,
)
from models.preprocessing import Resizing
from tests.inference.conftest import photographs


def test_pan_moves_from_the_upper_left_to_the_lower_right() -> None:
    photograph = np.zeros((200, 300, 3), np.uint8)
    photograph[..., 0] = np.linspace(0, 255, 200)[:, None]
    photograph[..., 1] = np.linspace(0, 255, 300)[None, :]

    frames = pan(photograph, Resizing(60))

    assert [frame.shape for frame in frames] == [(60, 60, 3)] * PAN_FRAMES
    corners = np.array([frame[0, 0, :2] for frame in frames], int)
    assert (np.diff(corners, axis=0) > 5).all()
    assert corners[0].max() < 5
    assert frames[-1][-1, -1, :2].min() > 250


def test_video_frames_are_half_a_second_apart(footage: Path) -> None:
    frames = read_video(footage, Resizing(64))

    assert len(frames) == 21
    assert all(frame.shape == (64, 64, 3) for frame in frames)
    assert len({frame.tobytes() for frame in frames}) == 21


def test_unreadable_videos_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_text("no video")

    with pytest.raises(VideoError, match=r"no\.mp4 cannot be read as a video"):
        read_video(path, Resizing(64))


def test_overlap_is_the_intersection_over_union_of_the_top_fifths() -> None:
    values = np.arange(50.0)

    assert top_overlap(values, values) == 1
    assert top_overlap(values, -values) == 0
    assert top_overlap(values, np.roll(values, 5)) == pytest.approx(5 / 15)


def test_still_scenes_are_stable_and_changed_captions_are_skipped(
    shipped: LstmCaptionModel,
) -> None:
    one, other = (caption_image(shipped, each) for each in photographs(shipped.image_size)[:2])
    assert one.words != other.words

    found = measure_stability(shipped, [[one, one, other], [other, one]], METHODS["gradcam"])

    assert (found.pairs, found.changed) == (1, 2)
    assert found.correlations == pytest.approx([1.0])
    # Not 1: the many cells that are 0 in Grad-CAM are in random order.
    assert found.overlaps[0] > 0.7


def test_maps_of_another_image_are_less_similar(shipped: LstmCaptionModel) -> None:
    image = photographs(shipped.image_size)[0]
    sample = caption_image(shipped, image)
    mirrored = Sample(np.ascontiguousarray(image[::-1, ::-1]), sample.tokens, sample.words)

    (correlation,) = measure_stability(
        shipped, [[sample, mirrored]], METHODS["gradcam"]
    ).correlations

    assert correlation < 0.8
