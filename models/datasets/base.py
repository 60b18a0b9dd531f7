"""What every captioned image data set offers, and reading that all layouts share.

Several data sets as one.

What the layouts share that keep every image as a file of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


class DatasetError(ValueError):
    """A data set on disk is missing, incomplete or malformed; the message names the file."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its reference captions.

    Attributes:
        name: The image's name, unique in its data set; pass it to `Dataset.image`.
        split: The split that the image belongs to.
        captions: Captions exactly as the file has them, in the file's order.
    """

    name: str
    split: str
    captions: tuple[str, ...]


class Dataset(ABC):
    """A captioned image data set.

    Captions are in memory from construction on, images are read one at a time. Nothing stays
    open between calls, so one instance serves any number of threads and pickles to processes.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        """Group the examples by split, splits in the order of their first example.

        Args:
            examples: Every example of the data set.
        """
        self._examples: dict[str, list[Example]] = {}
        for example in examples:
            self._examples.setdefault(example.split, []).append(example)

    @property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits that have examples."""
        return tuple(self._examples)

    def examples(self, split: str) -> list[Example]:
        """List the examples of one split in the order of the captions file.

        Args:
            split: One of `splits`.

        Returns:
            A new list.

        Raises:
            ValueError: There is no such split; the message names those that exist.
        """
        if split not in self._examples:
            raise ValueError(f"no split {split!r}; the splits are {', '.join(self._examples)}")
        return list(self._examples[split])

    @property
    def texts(self) -> tuple[str, ...]:
        """Captions whose images the data set does not have."""
        return ()

    @abstractmethod
    def image(self, name: str) -> NDArray[np.uint8]:
        """Read one image.

        Args:
            name: The name of an example.

        Returns:
            RGB pixels, uint8 [height, width, 3], 0..255, of the size stored.

        Raises:
            DatasetError: There is no image of that name, or it cannot be read.
        """


def decode_image(encoded: bytes, source: str) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or WebP file.

    Args:
        encoded: The whole file.
        source: Where the bytes came from, for the message of an error.

    Returns:
        RGB pixels, uint8 [height, width, 3], 0..255.

    Raises:
        DatasetError: The bytes are no image.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # An empty buffer, or more pixels than OpenCV accepts.
        pixels = None
    if pixels is None:
        raise DatasetError(f"{source}: not a readable image; replace the file")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file.

    Args:
        path: The file.

    Returns:
        Lines without their line ends (LF or CRLF), without an empty last line.

    Raises:
        DatasetError: The file is missing or is not UTF-8 text.
    """
    try:
        # str.splitlines would also split at separators that may occur inside a caption.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text at byte {error.start}") from error
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


class Together(Dataset):
    """The examples of several data sets, split by split.

    An image's name is the position of its data set, a slash, and the name that it has there.
    """

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        """Take the data sets in this order."""
        self._datasets = tuple(datasets)
        super().__init__(
            replace(example, name=f"{position}/{example.name}")
            for position, dataset in enumerate(datasets)
            for split in dataset.splits
            for example in dataset.examples(split)
        )

    @property
    def texts(self) -> tuple[str, ...]:  # noqa: D102 (inherited)
        return tuple(text for dataset in self._datasets for text in dataset.texts)

    def image(self, name: str) -> NDArray[np.uint8]:  # noqa: D102 (inherited)
        position, _, rest = name.partition("/")
        if not position.isdecimal() or int(position) >= len(self._datasets):
            raise DatasetError(f"no image {name!r}; pass the name of an example")
        return self._datasets[int(position)].image(rest)


class ImageFolderDataset(Dataset):
    """A data set whose images are files in one or more flat folders."""

    def __init__(
        self, examples: Iterable[Example], folders: Mapping[str, Path], captions: Path
    ) -> None:
        """Check that every example has its image file.

        Args:
            examples: Every example of the data set.
            folders: The folder of each split's images.
            captions: The captions' source, for the message of an error.

        Raises:
            DatasetError: A folder or an image is missing, or two examples share a name.
        """
        super().__init__(examples)
        self._folders: dict[str, Path] = {}
        for split in self.splits:
            folder = folders[split]
            present = image_names(folder)
            for example in self.examples(split):
                if example.name not in present:
                    raise DatasetError(
                        f"{captions}: image {example.name} is not in {folder}; "
                        "add the file or remove its captions"
                    )
                if example.name in self._folders:
                    raise DatasetError(
                        f"{captions}: image {example.name} is listed twice; keep one"
                    )
                self._folders[example.name] = folder

    def image(self, name: str) -> NDArray[np.uint8]:  # noqa: D102 (inherited)
        if name not in self._folders:
            raise DatasetError(f"no image {name!r} in the data set; pass the name of an example")
        path = self._folders[name] / name
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
        return decode_image(encoded, str(path))


def image_names(folder: Path) -> set[str]:
    """List the names of a folder's entries.

    Args:
        folder: The folder of images.

    Returns:
        The names, without the folder.

    Raises:
        DatasetError: There is no such folder.
    """
    # One listing instead of a look at each of 100,000 files.
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DatasetError(f"{folder}: no folder of images ({error.strerror})") from error


def group_captions(path: Path, captions: Iterator[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Gather the captions of each image.

    Args:
        path: The captions' file, for the message of an error.
        captions: Image names with one caption each, in the order of the file.

    Returns:
        The captions by image name, both in the order of the file.

    Raises:
        DatasetError: There are no captions.
    """
    groups: dict[str, list[str]] = {}
    for name, caption in captions:
        groups.setdefault(name, []).append(caption)
    if not groups:
        raise DatasetError(f"{path}: holds no captions")
    return {name: tuple(group) for name, group in groups.items()}
