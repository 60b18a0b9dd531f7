from pathlib import Path

from inference.faithfulness.measurement import Journal, MeasuredPicture, MeasuredWord

RUN = {"methods": ["gradcam"], "limit": 3}
WORD = MeasuredWord("dog", "object", 0.5, {"gradcam": [0.5, 0.1]}, {"gradcam": [0.1, 0.5]}, {})
PICTURES = [MeasuredPicture(f"a dog {number}", (WORD,) * number) for number in range(3)]


def test_the_same_run_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Journal(tmp_path / "measured.jsonl", RUN)
    assert first.pictures == []
    for picture in PICTURES[:2]:
        first.add(picture)

    second = Journal(tmp_path / "measured.jsonl", RUN)
    assert second.pictures == PICTURES[:2]
    second.add(PICTURES[2])

    assert Journal(tmp_path / "measured.jsonl", RUN).pictures == PICTURES


def test_another_run_begins_anew(tmp_path: Path) -> None:
    Journal(tmp_path / "measured.jsonl", RUN).add(PICTURES[0])

    assert Journal(tmp_path / "measured.jsonl", {**RUN, "limit": 4}).pictures == []
    assert Journal(tmp_path / "measured.jsonl", RUN).pictures == []


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "measured.jsonl"
    journal = Journal(path, RUN)
    for picture in PICTURES[1:]:
        journal.add(picture)
    path.write_text(path.read_text()[:-20])

    going_on = Journal(path, RUN)
    going_on.add(PICTURES[2])

    assert Journal(path, RUN).pictures == PICTURES[1:]
