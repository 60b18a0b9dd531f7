from pathlib import Path

import numpy as np
import pytest

from inference.captioning.model import CaptionModel
from inference.faithfulness.measurement import Said, caption
from inference.faithfulness.stability import (
    PAN_FRAMES,
    VideoError,
    overlap,
    pan,
    read_video,
    stability,
)
from tests.inference.conftest import photographs


def test_a_pan_goes_from_the_upper_left_to_the_lower_right() -> None:
    photograph = np.zeros((200, 300, 3), np.uint8)
    photograph[..., 0] = np.linspace(0, 255, 200)[:, None]
    photograph[..., 1] = np.linspace(0, 255, 300)[None, :]

    frames = pan(photograph, 60)

    assert [frame.shape for frame in frames] == [(60, 60, 3)] * PAN_FRAMES
    corners = np.array([frame[0, 0, :2] for frame in frames], int)
    assert (np.diff(corners, axis=0) > 5).all()
    assert corners[0].max() < 5
    assert frames[-1][-1, -1, :2].min() > 250


def test_frames_of_a_video_come_every_half_second(footage: Path) -> None:
    frames = read_video(footage, 64)

    assert len(frames) == 21
    assert all(frame.shape == (64, 64, 3) for frame in frames)
    assert len({frame.tobytes() for frame in frames}) == 21


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    path = tmp_path / "no.mp4"
    path.write_text("no video")

    with pytest.raises(VideoError, match=r"no\.mp4 is no video"):
        read_video(path, 64)


def test_overlap_is_the_common_part_of_the_top_fifths() -> None:
    values = np.arange(50.0)

    assert overlap(values, values) == 1
    assert overlap(values, -values) == 0
    assert overlap(values, np.roll(values, 5)) == pytest.approx(5 / 15)


def test_a_still_scene_is_perfectly_stable_and_other_captions_are_left_out(
    shipped: CaptionModel,
) -> None:
    one, other = (caption(shipped, each) for each in photographs(shipped.image_size)[:2])
    assert one.words != other.words

    found = stability(shipped, [[one, one, other], [other, one]], "gradcam")

    assert (found.pairs, found.changed) == (1, 2)
    assert found.correlations == pytest.approx([1.0])
    # Equal cells are as many as Grad-CAM has zeros, and come in any order.
    assert found.overlaps[0] > 0.7


def test_maps_of_another_picture_are_less_alike(shipped: CaptionModel) -> None:
    picture = photographs(shipped.image_size)[0]
    said = caption(shipped, picture)
    mirrored = Said(np.ascontiguousarray(picture[::-1, ::-1]), said.tokens, said.words)

    (correlation,) = stability(shipped, [[said, mirrored]], "gradcam").correlations

    assert correlation < 0.8
