from pathlib import Path

import pytest

from inference.output_folder import output_folder


def test_files_arrive_together_on_success(tmp_path: Path) -> None:
    with output_folder(tmp_path / "a" / "b") as temporary:
        (temporary / "one.txt").write_text("1")
        (temporary / "two.txt").write_text("2")
        assert not (tmp_path / "a" / "b" / "one.txt").exists()

    files = {file.name: file.read_text() for file in (tmp_path / "a" / "b").iterdir()}
    assert files == {"one.txt": "1", "two.txt": "2"}


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_behind_on_failure(tmp_path: Path, problem: type[BaseException]) -> None:
    with pytest.raises(problem), output_folder(tmp_path / "a" / "b") as temporary:
        (temporary / "one.txt").write_text("1")
        raise problem

    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_keeps_its_files(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("old")

    with pytest.raises(ValueError), output_folder(tmp_path) as temporary:
        (temporary / "one.txt").write_text("new")
        raise ValueError

    assert [file.name for file in tmp_path.iterdir()] == ["one.txt"]
    assert (tmp_path / "one.txt").read_text() == "old"
    with output_folder(tmp_path) as temporary:
        (temporary / "one.txt").write_text("new")
    assert (tmp_path / "one.txt").read_text() == "new"


def test_a_file_in_the_way_is_an_error_before_the_block(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError), output_folder(folder):
            pytest.fail("the block must not run")

    assert (tmp_path / "file").read_text() == "in the way"
