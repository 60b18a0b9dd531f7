"""Creating and opening the file, and failures of the disk."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from stream.history import History, HistoryError, HistorySettings
from stream.history.sqlite import SqliteStore as Store
from tests.support.captions import caption_event, uncalibrated_caption

ROOT = Path(__file__).parent.parent.parent.parent


def open_history(path: Path) -> None:
    async def open_and_close() -> None:
        history = History(HistorySettings(path=path))
        await history.open()
        await history.close()

    asyncio.run(open_and_close())


def test_the_file_is_readable_by_its_owner_only(path: Path) -> None:
    open_history(path)

    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"GIF89a" * 500, b"SQLite format 3\0" + b"\1" * 5000])
def test_a_file_that_is_not_a_database_is_refused_and_unchanged(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    with pytest.raises(HistoryError, match="damaged or not a history"):
        open_history(path)
    assert path.read_bytes() == content


def test_a_damaged_history_is_refused(path: Path) -> None:
    store = Store(path, 36_500, 100)
    for number in range(200):
        store.add(caption_event(f"A dog runs {number}", number))
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + os.urandom(8192) + whole[16384:])

    with pytest.raises(HistoryError, match="damaged"):
        open_history(path)


def test_a_truncated_history_is_refused(path: Path) -> None:
    store = Store(path, 36_500, 100)
    for number in range(200):
        store.add(caption_event(f"A dog runs {number}", number))
    store.close()
    os.truncate(path, path.stat().st_size // 2)

    with pytest.raises(HistoryError, match="damaged"):
        open_history(path)


def test_another_database_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (name TEXT)")
    connection.close()

    with pytest.raises(HistoryError, match="is not a history"):
        open_history(path)


def test_a_newer_history_is_refused(path: Path) -> None:
    open_history(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 4")
    connection.close()

    with pytest.raises(HistoryError, match="newer Sightline"):
        open_history(path)


def test_a_history_of_version_1_is_kept_and_takes_captions_without_confidence(path: Path) -> None:
    store = Store(path, 36_500, 100)
    store.add(caption_event("A dog runs", 0))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(sql, 'confidence REAL', "
            "'confidence REAL NOT NULL') WHERE name = 'spans';"
            "DROP TRIGGER pictures_of_old; DROP TABLE pictures;"
            "PRAGMA user_version = 1"
        )
    connection.close()
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute("UPDATE spans SET confidence = NULL")
    connection.close()

    store = Store(path, 36_500, 100)
    store.add(caption_event(uncalibrated_caption("Two dogs run"), 60))
    store.close()

    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT spans.text, confidence FROM words JOIN spans ON spans.id = words.rowid "
            "WHERE words MATCH 'dog' ORDER BY spans.id"
        ).fetchall()
        assert rows == [("A dog runs", 0.72), ("Two dogs run", None)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    connection.close()


def test_a_path_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match="does not exist"):
        open_history(tmp_path / "nowhere" / "history.sqlite")
    with pytest.raises(HistoryError):
        open_history(tmp_path)
    with pytest.raises(HistoryError, match="cannot be created"):
        open_history(Path("/proc/history.sqlite"))


def test_on_a_full_disk_lost_captions_and_pictures_are_counted_and_logged_once(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.stream.history.full_disk", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    counts = json.loads(done.stdout)
    lost = counts["lost"]
    assert 20 < lost <= 100
    assert counts.pop("lost_pictures") > 0
    assert counts == {"lost": lost, "after": lost, "newest": "Frame 104"}
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert [message.split(":")[0].removeprefix("ERROR ") for message in sorted(errors)] == [
        "captions are lost",
        "pictures cannot be stored",
    ]
    assert done.stderr.count("can be written again") == 1
    assert done.stderr.count("pictures can be stored again") == 1
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
