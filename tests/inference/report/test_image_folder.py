"""Explanations of the images of a folder, and their resumption."""

import fcntl
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations import Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.methods import METHODS
from inference.progress import finish
from inference.report.image_folder import Outcome, explain_folder, find_images
from tests.inference.conftest import TAGGED_SIDE, photographs

IMAGES = photographs(TAGGED_SIDE)
NAMES = ("a.png", "below/b.jpg", "below/c")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of three images at two depths, and files that are none."""
    folder = tmp_path / "images"
    (folder / "below").mkdir(parents=True)
    for name, image, kind in zip(NAMES, IMAGES, ("png", "jpeg", "webp"), strict=False):
        Image.fromarray(image).save(folder / name, kind)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes((folder / "a.png").read_bytes())
    return folder


def explain(
    model: LstmCaptionModel, images: Path, methods: tuple[str, ...] = ("gradcam",)
) -> tuple[Outcome, list[str]]:
    """Explain the folder, into a folder inside it; return what was reported."""
    reported: list[str] = []
    outcome = explain_folder(
        model, images, images / "out", methods, {"layer": None}, 2**24, reported.append
    )
    return outcome, reported


def lines(images: Path) -> list[dict[str, Any]]:
    text = (images / "out" / "explanations.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_each_image_has_a_line_its_maps_and_its_sheets(
    model: LstmCaptionModel, images: Path
) -> None:
    outcome, _ = explain(model, images, ("gradcam", "attention"))

    assert outcome == Outcome(explained=3, skipped=0, failed=())
    assert [line["file"] for line in lines(images)] == list(NAMES)
    line = lines(images)[0]
    caption = model.caption(IMAGES[0])
    assert (line["caption"]["text"], line["width"]) == (caption.text, TAGGED_SIDE)
    assert [word["text"] for word in line["words"]] == [word.text for word in caption.words]
    assert line["files"] == [
        f"images/a.png/{name}" for name in ("attention.png", "gradcam.png", "maps.npz")
    ]
    encoding = model.encode([IMAGES[0]])
    tokens = tuple(int(token) for token in model.search(encoding).tokens[0] if token)
    subject = CaptionedImage(model, IMAGES[0], tokens)
    with np.load(images / "out" / "images" / "a.png" / "maps.npz") as maps:
        assert {each["array"] for each in line["maps"]} == set(maps)
        assert {"gradcam.caption", "gradcam.word.0", "attention.word.1"} <= set(maps)
        for each in line["maps"]:
            target = Target.from_json(each["of"])
            expected = finish(METHODS[each["method"]].explain(subject, target))
            assert np.allclose(maps[each["array"]], expected.values, atol=1e-6)
    with Image.open(images / "out" / "images" / "below" / "c" / "gradcam.png") as sheet:
        assert sheet.width == 1280


def test_a_second_run_skips_what_is_done(model: LstmCaptionModel, images: Path) -> None:
    explain(model, images)
    before = contents(images / "out")

    outcome, reported = explain(model, images)

    assert outcome == Outcome(explained=0, skipped=3, failed=())
    assert reported == ["3 of 3 images are explained already"]
    assert contents(images / "out") == before


def test_what_was_left_half_written_or_has_changed_is_done_again(
    model: LstmCaptionModel, images: Path
) -> None:
    explain(model, images)
    out = images / "out"
    before = contents(out)
    text = (out / "explanations.jsonl").read_text(encoding="utf-8")
    # Killed while it wrote the files and the line of the last image.
    (out / "explanations.jsonl").write_text(text[:-20], encoding="utf-8")
    (out / "images" / "below" / "c" / "maps.npz").unlink()
    left = out / "images" / "below" / "c" / ".writing-x"
    left.mkdir()
    (left / "maps.npz").write_bytes(b"PK")

    assert explain(model, images)[0] == Outcome(explained=1, skipped=2, failed=())
    assert contents(out) == before

    # A map was deleted, and an image was replaced.
    (out / "images" / "a.png" / "gradcam.png").unlink()
    Image.fromarray(IMAGES[4]).save(images / "below" / "b.jpg", "png")
    assert explain(model, images)[0] == Outcome(explained=2, skipped=1, failed=())
    assert [line["file"] for line in lines(images)] == [NAMES[2], NAMES[0], NAMES[1]]
    assert lines(images)[2]["caption"]["text"] == model.caption(IMAGES[4]).text


def test_broken_images_are_reported_and_tried_again(model: LstmCaptionModel, images: Path) -> None:
    good = (images / "a.png").read_bytes()
    (images / "a.png").write_bytes(good[:200])
    (images / "empty.jpg").touch()

    outcome, _ = explain(model, images)

    assert (outcome.explained, outcome.skipped) == (2, 0)
    assert outcome.failed == (
        "a.png is damaged or truncated; save or copy it again",
        "empty.jpg is not an image; use JPEG, PNG, WebP or a similar format",
    )
    (images / "a.png").write_bytes(good)
    outcome, _ = explain(model, images)
    assert (outcome.explained, outcome.skipped, len(outcome.failed)) == (1, 2, 1)


def test_a_blank_image_has_a_line_without_maps(model: LstmCaptionModel, images: Path) -> None:
    for name in NAMES:
        (images / name).unlink()
    Image.new("RGB", (40, 30), "grey").save(images / "grey.png")

    explain(model, images)

    (line,) = lines(images)
    assert (line["caption"]["fallback"], line["maps"], line["files"]) == ("blank", [], [])
    assert explain(model, images)[0].skipped == 1


def test_results_of_other_methods_are_not_mixed(model: LstmCaptionModel, images: Path) -> None:
    explain(model, images)
    before = contents(images / "out")

    with pytest.raises(ValueError, match=r"by other settings \(methods\); choose another folder"):
        explain(model, images, ("attention",))

    assert contents(images / "out") == before


def test_two_runs_cannot_write_to_one_folder(model: LstmCaptionModel, images: Path) -> None:
    explain(model, images)

    with (images / "out" / "run.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another run writes to"):
            explain(model, images)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()

    with pytest.raises(ValueError, match="contains no images"):
        find_images(tmp_path, tmp_path / "out")
