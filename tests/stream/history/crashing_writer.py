"""Write to a history in child processes that get killed; run with the path of the file.

For each line on standard input a child is forked that writes captions. Printed are the child's
process id and, by the child, the number of each committed caption.
"""

import os
import sys
from itertools import count
from pathlib import Path

from stream.history import Picture, PictureLimits
from stream.history.sqlite import SqliteStore as Store
from tests.support.captions import caption_event


def write(path: Path, begin: int) -> None:
    """Add new captions without end."""
    store = Store(path, 1e4, 100, PictureLimits(1e4, 100))
    for number in count(begin):
        span = store.add(caption_event(f"Dog number {number} runs", number))
        assert span
        os.write(1, b"%d\n" % number)
        if number % 2:
            store.keep_pictures([Picture(span.id, b"%d" % number * 2000, "")])


def main() -> None:
    """Fork a child for each line, which is the number of its first caption."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            write(Path(sys.argv[1]), int(line))
        os.write(1, b"child %d\n" % child)
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
