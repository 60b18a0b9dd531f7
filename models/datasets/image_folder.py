"""What the layouts share that keep every image as a file of its own."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.datasets.base import Dataset, DatasetError, Example, decode_image


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
