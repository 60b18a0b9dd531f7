import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from inference.captioning.lite_encoder import cache_folder, converted

CONTENT = b"an encoder" * 1000


class Conversion:
    """Counts how often it is made."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.count = content, 0

    def __call__(self) -> bytes:
        """Make it."""
        self.count += 1
        return self.content


def test_is_made_once_and_then_read(own_cache: Path) -> None:
    conversion = Conversion()

    assert [converted("a", conversion) for _ in range(3)] == [CONTENT] * 3
    assert conversion.count == 1
    assert len(list(own_cache.rglob("*a"))) == 1


def test_names_are_kept_apart(own_cache: Path) -> None:
    assert converted("a", Conversion(b"1")) == b"1"
    assert converted("b", Conversion(b"2")) == b"2"
    assert converted("a", Conversion(b"3")) == b"1"


@pytest.mark.parametrize("damage", ["truncated", "emptied", "changed"])
def test_what_was_damaged_is_made_anew(own_cache: Path, damage: str) -> None:
    converted("a", Conversion())
    (file,) = (path for path in own_cache.rglob("*") if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(
        {"truncated": whole[:-1], "emptied": b"", "changed": whole[:-1] + b"?"}[damage]
    )
    conversion = Conversion()

    assert converted("a", conversion) == CONTENT
    assert conversion.count == 1
    assert converted("a", conversion) == CONTENT
    assert conversion.count == 1


def test_goes_on_where_nothing_can_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Not a folder without rights: they do not keep the superuser out.
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    conversion = Conversion()

    with caplog.at_level(logging.WARNING):
        assert [converted("a", conversion) for _ in range(2)] == [CONTENT] * 2

    assert conversion.count == 2
    assert len(caplog.messages) == 2
    assert "cannot be kept" in caplog.messages[0]


def test_a_file_that_could_not_be_written_whole_is_not_left_behind(own_cache: Path) -> None:
    folder = cache_folder()
    # A folder in the file's place: the last step fails, after all was written.
    (folder / "a").mkdir(parents=True)

    assert converted("a", Conversion()) == CONTENT
    assert list(folder.iterdir()) == [folder / "a"]


def _start(cache: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    os.environ["XDG_CACHE_HOME"] = cache

    def convert() -> bytes:
        barrier.wait(20)
        return CONTENT

    assert converted("a", convert) == CONTENT


def test_two_that_start_at_once_do_not_disturb_each_other(own_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_start, args=(str(own_cache), barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    conversion = Conversion(b"")
    assert converted("a", conversion) == CONTENT
    assert list(cache_folder().iterdir()) == [cache_folder() / "a"]


def test_only_those_used_last_are_kept(own_cache: Path) -> None:
    for name in "abcd":
        converted(name, Conversion())
        time.sleep(0.01)
    converted("a", Conversion())
    time.sleep(0.01)
    for name in "ef":
        converted(name, Conversion())
        time.sleep(0.01)

    assert {path.name for path in cache_folder().iterdir()} == {"a", "d", "e", "f"}


def test_the_folder_is_the_users_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for told in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", told)
        assert tmp_path / ".cache" / "sightline" in cache_folder().parents
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert tmp_path / "other" / "sightline" in cache_folder().parents
