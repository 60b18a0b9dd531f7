"""What was measured so far, so that a run that was stopped goes on where it was."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inference.faithfulness.measurement import MeasuredPicture, MeasuredWord


class Journal:
    """A file of measured pictures in their order, one a line, under a line that says of what run.

    The last line may be cut off: that picture is measured again.
    """

    def __init__(self, path: Path, run: dict[str, Any]) -> None:
        """Go on with the file if it is of the same run, and begin it anew otherwise.

        Args:
            path: The file.
            run: All that decides what is measured, as JSON values.

        Raises:
            OSError: If the file cannot be read or written.
        """
        self._path = path
        heading, self.pictures = _read(path)
        if heading != run:
            self.pictures = []
        lines = [run, *map(asdict, self.pictures)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

    def add(self, picture: MeasuredPicture) -> None:
        """Note the next picture."""
        self.pictures.append(picture)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(asdict(picture))}\n")


def _read(path: Path) -> tuple[Any, list[MeasuredPicture]]:
    if not path.is_file():
        return None, []
    heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or ["null\n"]
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return json.loads(heading), [
        MeasuredPicture(each["caption"], tuple(MeasuredWord(**word) for word in each["words"]))
        for each in whole
    ]
