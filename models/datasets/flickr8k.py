"""The layout in which Flickr8k was published.

M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task: Data, Models
and Evaluation Metrics", JAIR 47 (2013) 853-899.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from models.datasets.base import DatasetError, Example, read_lines
from models.datasets.image_folder import ImageFolderDataset, group_captions, image_names

CAPTIONS_FILE = "Flickr8k.token.txt"
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
IMAGE_FOLDERS = ("Flicker8k_Dataset", "Images")
_LINE = re.compile(r"(?P<name>[^#\t]+)#\d+\t(?P<caption>.+)")
# The published captions describe this image, the published images lack it.
_NEVER_PUBLISHED = "2258277193_586949ec62.jpg.1"


class Flickr8kDataset(ImageFolderDataset):
    """Flickr8k as published: a captions file, one list of names a split, a folder of images.

    A line of `Flickr8k.token.txt` is `name.jpg#number`, a tab and the caption. Captioned images
    that are in none of the three lists make up the split `extra`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and the lists.

        Args:
            folder: The folder that holds the text files and `Flicker8k_Dataset/` or `Images/`.

        Raises:
            DatasetError: A file is missing or malformed, a captioned image has no file, or a
                listed image has no captions.
        """
        path = folder / CAPTIONS_FILE
        images = _image_folder(folder)
        captions = group_captions(path, _captions(path))
        if _NEVER_PUBLISHED not in image_names(images):
            captions.pop(_NEVER_PUBLISHED, None)
        splits = _read_splits(folder)
        for name, split in splits.items():
            if name not in captions:
                raise DatasetError(
                    f"{folder / SPLIT_FILES[split]}: image {name} has no caption in {path}"
                )
        super().__init__(
            (Example(name, splits.get(name, "extra"), group) for name, group in captions.items()),
            dict.fromkeys((*SPLIT_FILES, "extra"), images),
            path,
        )


def _image_folder(folder: Path) -> Path:
    for name in IMAGE_FOLDERS:
        if (folder / name).is_dir():
            return folder / name
    raise DatasetError(
        f"{folder}: no folder of images; looked for {'/, '.join(IMAGE_FOLDERS)}/ in it"
    )


def _captions(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DatasetError(
                f"{path}: line {number} must be an image's name, '#', the caption's number, a tab "
                "and the caption"
            )
        yield match["name"], match["caption"]


def _read_splits(folder: Path) -> dict[str, str]:
    # All three lists are required: without one, its images would pass for `extra`, which may be
    # trained on.
    splits: dict[str, str] = {}
    for split, file in SPLIT_FILES.items():
        for number, name in enumerate(read_lines(folder / file), start=1):
            if not name:
                raise DatasetError(f"{folder / file}: line {number} is empty; remove it")
            if splits.setdefault(name, split) != split:
                raise DatasetError(
                    f"{folder / file}: line {number} names {name}, "
                    f"which {SPLIT_FILES[splits[name]]} names too; keep it in one list"
                )
    return splits
