from pathlib import Path

from inference.faithfulness.journal import Journal
from inference.faithfulness.measurement import MeasuredImage, MeasuredWord, read_image

RUN = {"methods": ["gradcam"], "limit": 3}
WORD = MeasuredWord("dog", "object", 0.5, {"gradcam": [0.5, 0.1]}, {"gradcam": [0.1, 0.5]}, {})
IMAGES = [MeasuredImage(f"a dog {number}", (WORD,) * number) for number in range(3)]


def test_same_run_is_resumed(tmp_path: Path) -> None:
    first = Journal(tmp_path / "measured.jsonl", RUN, read_image)
    assert first.images == []
    for image in IMAGES[:2]:
        first.add(image)

    second = Journal(tmp_path / "measured.jsonl", RUN, read_image)
    assert second.images == IMAGES[:2]
    second.add(IMAGES[2])

    assert Journal(tmp_path / "measured.jsonl", RUN, read_image).images == IMAGES


def test_other_run_starts_from_scratch(tmp_path: Path) -> None:
    Journal(tmp_path / "measured.jsonl", RUN, read_image).add(IMAGES[0])

    assert Journal(tmp_path / "measured.jsonl", {**RUN, "limit": 4}, read_image).images == []
    assert Journal(tmp_path / "measured.jsonl", RUN, read_image).images == []


def test_incomplete_last_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "measured.jsonl"
    journal = Journal(path, RUN, read_image)
    for image in IMAGES[1:]:
        journal.add(image)
    path.write_text(path.read_text()[:-20])

    resumed = Journal(path, RUN, read_image)
    resumed.add(IMAGES[2])

    assert Journal(path, RUN, read_image).images == IMAGES[1:]
