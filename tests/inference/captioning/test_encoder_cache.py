import logging
import multiprocessing
import os
import time
from pathlib import Path

import pytest

from inference.captioning.encoder_cache import cache_folder, cached_conversion

CONTENT = b"an encoder" * 1000


class Conversion:
    """A conversion that counts its calls."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.count = content, 0

    def __call__(self) -> bytes:
        """Convert."""
        self.count += 1
        return self.content


def test_a_conversion_is_made_once_and_then_read_from_the_cache(empty_cache: Path) -> None:
    conversion = Conversion()

    assert [cached_conversion("a", conversion) for _ in range(3)] == [CONTENT] * 3
    assert conversion.count == 1
    assert len(list(empty_cache.rglob("*a"))) == 1


def test_conversions_are_cached_by_name(empty_cache: Path) -> None:
    assert cached_conversion("a", Conversion(b"1")) == b"1"
    assert cached_conversion("b", Conversion(b"2")) == b"2"
    assert cached_conversion("a", Conversion(b"3")) == b"1"


@pytest.mark.parametrize("damage", ["truncated", "emptied", "changed"])
def test_a_damaged_file_is_replaced(empty_cache: Path, damage: str) -> None:
    cached_conversion("a", Conversion())
    (file,) = (path for path in empty_cache.rglob("*") if path.is_file())
    whole = file.read_bytes()
    file.write_bytes(
        {"truncated": whole[:-1], "emptied": b"", "changed": whole[:-1] + b"?"}[damage]
    )
    conversion = Conversion()

    assert cached_conversion("a", conversion) == CONTENT
    assert conversion.count == 1
    assert cached_conversion("a", conversion) == CONTENT
    assert conversion.count == 1


def test_conversion_works_where_nothing_can_be_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A file in the way, as permissions do not stop the superuser.
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    conversion = Conversion()

    with caplog.at_level(logging.WARNING):
        assert [cached_conversion("a", conversion) for _ in range(2)] == [CONTENT] * 2

    assert conversion.count == 2
    assert len(caplog.messages) == 2
    assert "cannot be cached" in caplog.messages[0]


def test_a_partial_file_is_not_left_behind(empty_cache: Path) -> None:
    folder = cache_folder()
    # A folder in the file's place makes the last step fail, after the content was written.
    (folder / "a").mkdir(parents=True)

    assert cached_conversion("a", Conversion()) == CONTENT
    assert list(folder.iterdir()) == [folder / "a"]


def _start(cache: str, barrier: "multiprocessing.synchronize.Barrier") -> None:
    os.environ["XDG_CACHE_HOME"] = cache

    def convert() -> bytes:
        barrier.wait(20)
        return CONTENT

    assert cached_conversion("a", convert) == CONTENT


def test_two_processes_may_convert_at_once(empty_cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    processes = [context.Process(target=_start, args=(str(empty_cache), barrier)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    assert [process.exitcode for process in processes] == [0, 0]
    conversion = Conversion(b"")
    assert cached_conversion("a", conversion) == CONTENT
    assert list(cache_folder().iterdir()) == [cache_folder() / "a"]


def test_only_the_most_recently_used_files_are_kept(empty_cache: Path) -> None:
    for name in "abcd":
        cached_conversion(name, Conversion())
        time.sleep(0.01)
    cached_conversion("a", Conversion())
    time.sleep(0.01)
    for name in "ef":
        cached_conversion(name, Conversion())
        time.sleep(0.01)

    assert {path.name for path in cache_folder().iterdir()} == {"a", "d", "e", "f"}


def test_the_cache_folder_follows_the_xdg_specification(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert tmp_path / ".cache" / "sightline" in cache_folder().parents
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert tmp_path / "other" / "sightline" in cache_folder().parents
