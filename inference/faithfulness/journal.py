"""A journal of the images that a run has measured, so that an interrupted run can be resumed."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Entry = TypeVar("Entry", bound="DataclassInstance")


class Journal(Generic[Entry]):
    """A file of measured images in order, one a line, under a line that identifies the run.

    An incomplete last line is dropped, and its image is measured again.
    """

    def __init__(
        self, path: Path, run: dict[str, Any], read: Callable[[dict[str, Any]], Entry]
    ) -> None:
        """Continue the file if it belongs to the same run, and replace it otherwise.

        Args:
            path: The file.
            run: Everything that determines the measurements, as JSON values.
            read: Reads an image from its JSON values.

        Raises:
            OSError: If the file cannot be read or written.
        """
        self._path = path
        heading, complete = _read(path)
        self.images: list[Entry] = [read(each) for each in complete] if heading == run else []
        lines = [run, *map(asdict, self.images)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")

    def add(self, image: Entry) -> None:
        """Append the next image."""
        self.images.append(image)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(asdict(image))}\n")


def _read(path: Path) -> tuple[Any, list[Any]]:
    if not path.is_file():
        return None, []
    heading, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True) or ["null\n"]
    return json.loads(heading), [json.loads(line) for line in lines if line.endswith("\n")]
