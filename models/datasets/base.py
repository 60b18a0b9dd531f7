"""The dataset interface, combined datasets, and helpers that the layouts share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


class DatasetError(ValueError):
    """A dataset on disk is missing, incomplete or malformed; the message names the file."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with its reference captions.

    Attributes:
        name: The image's name, unique in its dataset; the argument of `Dataset.image`.
        split: The split that the image belongs to.
        captions: The captions exactly as in the file, in the file's order.
    """

    name: str
    split: str
    captions: tuple[str, ...]


class Dataset(ABC):
    """A captioned image dataset.

    Captions are held in memory; images are read one at a time. No file stays open between calls, so
    an instance can be used from several threads and can be pickled.
    """

    def __init__(self, examples: Iterable[Example]) -> None:
        """Group the examples by split, splits in the order of their first example.

        Args:
            examples: Every example of the dataset.
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
            ValueError: If there is no such split. The message lists those that exist.
        """
        if split not in self._examples:
            raise ValueError(f"no split {split!r}; choose one of {', '.join(self._examples)}")
        return list(self._examples[split])

    @property
    def texts(self) -> tuple[str, ...]:
        """Captions without images."""
        return ()

    def part(self, name: str) -> int:
        """Return the position of the image's dataset among combined ones; 0 if there is one."""
        return 0

    @abstractmethod
    def image(self, name: str) -> NDArray[np.uint8]:
        """Read one image.

        Args:
            name: The name of an example.

        Returns:
            RGB pixels, uint8 [height, width, 3], 0..255, in the stored size.

        Raises:
            DatasetError: If there is no such image, or it cannot be read.
        """


def decode_image(encoded: bytes, source: str) -> NDArray[np.uint8]:
    """Decode a JPEG, PNG or WebP file.

    Args:
        encoded: The whole file.
        source: Origin of the bytes, for error messages.

    Returns:
        RGB pixels, uint8 [height, width, 3], 0..255.

    Raises:
        DatasetError: If the bytes are not an image.
    """
    try:
        pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # The buffer is empty, or the image is too large for OpenCV.
        pixels = None
    if pixels is None:
        raise DatasetError(f"{source}: not a readable image; replace the file")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text file.

    Args:
        path: The file.

    Returns:
        The lines without line endings (LF or CRLF), without an empty last line.

    Raises:
        DatasetError: If the file is missing or is not UTF-8 text.
    """
    try:
        # str.splitlines would also split at separators that can occur inside a caption.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: not UTF-8 text at byte {error.start}") from error
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


class CombinedDataset(Dataset):
    """The examples of several datasets, split by split.

    An image's name is the index of its dataset, a slash, and its name there.
    """

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        """Combine the datasets in this order."""
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

    def part(self, name: str) -> int:  # noqa: D102 (inherited)
        return self._split_name(name)[0]

    def image(self, name: str) -> NDArray[np.uint8]:  # noqa: D102 (inherited)
        position, rest = self._split_name(name)
        return self._datasets[position].image(rest)

    def _split_name(self, name: str) -> tuple[int, str]:
        position, _, rest = name.partition("/")
        if not position.isdecimal() or int(position) >= len(self._datasets):
            raise DatasetError(f"no image {name!r}; give the name of an example")
        return int(position), rest


class ImageFolderDataset(Dataset):
    """A dataset whose images are files in one or more flat folders."""

    def __init__(
        self, examples: Iterable[Example], folders: Mapping[str, Path], captions: Path
    ) -> None:
        """Check that every example has its image file.

        Args:
            examples: Every example of the dataset.
            folders: The folder of each split's images.
            captions: Origin of the captions, for error messages.

        Raises:
            DatasetError: If a folder or an image is missing, or two examples have the same name.
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
            raise DatasetError(f"no image {name!r} in the dataset; give the name of an example")
        path = self._folders[name] / name
        try:
            encoded = path.read_bytes()
        except OSError as error:
            raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
        return decode_image(encoded, str(path))


def image_names(folder: Path) -> set[str]:
    """List the names of the entries of a folder.

    Args:
        folder: The folder of images.

    Returns:
        The names, without the folder.

    Raises:
        DatasetError: If there is no such folder.
    """
    # One listing is faster than a check of each of 100,000 files.
    try:
        return {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DatasetError(f"{folder}: no folder of images ({error.strerror})") from error


def group_captions(path: Path, captions: Iterator[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Group captions by image.

    Args:
        path: The captions file, for error messages.
        captions: Image names with one caption each, in the order of the file.

    Returns:
        The captions by image name, both in the order of the file.

    Raises:
        DatasetError: If there are no captions.
    """
    groups: dict[str, list[str]] = {}
    for name, caption in captions:
        groups.setdefault(name, []).append(caption)
    if not groups:
        raise DatasetError(f"{path}: no captions found")
    return {name: tuple(group) for name, group in groups.items()}
