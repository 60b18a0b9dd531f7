"""Durability: committed captions survive a killed process."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from stream.history.query import HistoryQuery
from stream.history.sqlite import SqliteReader

ROOT = Path(__file__).parent.parent.parent.parent
KILLS = 100


def test_committed_captions_survive_a_kill_at_any_moment(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    chance = random.Random(5)
    committed = set[int]()
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stream.history.crashing_writer", str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdin and writer.stdout
        for kill in range(KILLS):
            print(1000 * kill, file=writer.stdin, flush=True)
            child, enough = 0, chance.randrange(6)
            for line in iter(writer.stdout.readline, "gone\n"):
                if line.startswith("child"):
                    child = int(line.split()[1])
                else:
                    committed.add(int(line))
                    enough -= 1
                if child and enough <= 0:
                    time.sleep(chance.uniform(0, 0.01))
                    os.kill(child, signal.SIGKILL)
                    child, enough = 0, 1000
        writer.stdin.close()

    assert len(committed) > KILLS
    assert found(path) >= committed
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)")
        pictures = connection.execute(
            "SELECT text, image, size FROM pictures LEFT JOIN spans ON id = span"
        ).fetchall()
    connection.close()
    # A span may lack its picture, but there is no part of a picture, nor one without its span.
    assert len(pictures) > KILLS / 4
    for text, image, size in pictures:
        assert image == text.split()[2].encode() * 2000 and size == len(image)


def found(path: Path) -> set[int]:
    """Return the numbers of the recorded captions, found by the word that all contain."""
    reader = SqliteReader(path)
    numbers, after = set[int](), None
    while spans := reader.oldest(HistoryQuery.parse(None, None, None, "dogs"), 500, after):
        numbers |= {int(span.text.split()[2]) for span in spans}
        after = spans[-1].id
    reader.close()
    return numbers
