"""Writes to a history in children that are killed; run with the path of the history's file.

For each line that it reads it forks a child that writes one caption after another, and prints the
child's process id and then, from the child, the number of each caption that is committed.
"""

import os
import sys
from itertools import count
from pathlib import Path

from stream.history.store import Store
from tests.support.events import event


def write(path: Path, begin: int) -> None:
    """Say something new again and again."""
    store = Store(path, days=1e4, megabytes=100)
    for number in count(begin):
        assert store.add(event(f"Dog number {number} runs", number))
        os.write(1, b"%d\n" % number)


def main() -> None:
    """Fork a child for each line: the number of its first caption."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            write(Path(sys.argv[1]), int(line))
        os.write(1, b"child %d\n" % child)
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
