"""Readers of the Flickr8k and Flickr30k datasets.

Flickr8k: M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task: Data,
Models and Evaluation Metrics", JAIR 47 (2013) 853-899. Flickr30k: P. Young, A. Lai, M. Hodosh,
J. Hockenmaier, "From Image Descriptions to Visual Denotations: New Similarity Metrics for Semantic
Inference over Event Descriptions", TACL 2 (2014) 67-78.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.datasets.base import (
    DatasetError,
    Example,
    ImageFolderDataset,
    group_captions,
    image_names,
    read_lines,
)

FLICKR8K_CAPTIONS = "Flickr8k.token.txt"
FLICKR8K_FOLDERS = ("Flicker8k_Dataset", "Images")
SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_LINE = re.compile(r"(?P<name>[^#\t]+)#\d+\t(?P<caption>.+)")
_NEVER_PUBLISHED = "2258277193_586949ec62.jpg.1"
"""An image with published captions that was not published itself."""

FLICKR30K_CAPTIONS = "results.csv"
FLICKR30K_FOLDERS = ("flickr30k_images", "flickr30k-images")
_HEADER = ["image_name", "comment_number", "comment"]
_DEV_PERCENT = 3
_TEST_PERCENT = 3


class Flickr8kDataset(ImageFolderDataset):
    """Flickr8k as published: a captions file, a list of image names for each split, and images.

    A line of `Flickr8k.token.txt` is `name.jpg#number`, a tab and the caption. Captioned images
    that are in none of the three lists are the split `extra`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and the lists.

        Args:
            folder: The folder with the text files and `Flicker8k_Dataset/` or `Images/`.

        Raises:
            DatasetError: If a file is missing or malformed, a captioned image has no file, or a
                listed image has no captions.
        """
        path = folder / FLICKR8K_CAPTIONS
        images = _image_folder(folder, FLICKR8K_FOLDERS)
        captions = group_captions(path, _read_flickr8k(path))
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


def _image_folder(folder: Path, names: Sequence[str]) -> Path:
    for name in names:
        if (folder / name).is_dir():
            return folder / name
    raise DatasetError(f"{folder}: no folder of images; looked for {'/, '.join(names)}/")


def _read_flickr8k(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_lines(path), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DatasetError(
                f"{path}: line {number} must be an image's name, '#', the caption's number, a tab "
                "and the caption"
            )
        yield match["name"], match["caption"]


def _read_splits(folder: Path) -> dict[str, str]:
    # All three lists are required: without one, its images would be in `extra`, which may be used
    # for training.
    splits: dict[str, str] = {}
    for split, file in SPLIT_FILES.items():
        for number, name in enumerate(read_lines(folder / file), start=1):
            if not name:
                raise DatasetError(f"{folder / file}: line {number} is empty; remove it")
            if splits.setdefault(name, split) != split:
                raise DatasetError(
                    f"{folder / file}: line {number} lists {name}, "
                    f"which {SPLIT_FILES[splits[name]]} lists too; keep it in one list"
                )
    return splits


class Flickr30kDataset(ImageFolderDataset):
    """Flickr30k: `results.csv` and a folder of images.

    A line of `results.csv` is `image_name| comment_number| comment`, unquoted; spaces around a
    field are removed. The file has no splits, so they are assigned by a hash of an image's name:
    about 94 % `train`, 3 % `dev` and 3 % `test`, the same on every machine and independent of the
    rest of the file. Published results use other splits. Flickr30k extends Flickr8k, so its `train`
    contains images of Flickr8k's `test`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and assign the splits.

        Args:
            folder: The folder with `results.csv` and `flickr30k_images/`, `flickr30k-images/` or
                the images themselves.

        Raises:
            DatasetError: If the file is missing or malformed, or a captioned image has no file.
        """
        path = folder / FLICKR30K_CAPTIONS
        images = next((folder / n for n in FLICKR30K_FOLDERS if (folder / n).is_dir()), folder)
        super().__init__(
            (
                Example(name, hash_split(name), group)
                for name, group in group_captions(path, _read_flickr30k(path)).items()
            ),
            dict.fromkeys(("train", "dev", "test"), images),
            path,
        )


def hash_split(name: str) -> str:
    """Assign a split from an image's name alone.

    Args:
        name: The image's name.

    Returns:
        `dev` for about 3 % of the names, `test` for about 3 %, `train` for the rest.
    """
    percentile = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) % 100
    if percentile < _DEV_PERCENT:
        return "dev"
    if percentile < _DEV_PERCENT + _TEST_PERCENT:
        return "test"
    return "train"


def _read_flickr30k(path: Path) -> Iterator[tuple[str, str]]:
    lines = read_lines(path)
    if not lines or _fields(lines[0]) != _HEADER:
        raise DatasetError(f"{path}: line 1 must be the header '{'| '.join(_HEADER)}'")
    for number, line in enumerate(lines[1:], start=2):
        fields = _fields(line)
        # Common copies have one line without its second separator.
        if len(fields) != 3 or not all(fields) or not fields[1].isdecimal():
            raise DatasetError(
                f"{path}: line {number} must be '{'| '.join(_HEADER)}' but is {line[:80]!r}; "
                "insert the missing separator"
            )
        yield fields[0], fields[2]


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split("|", maxsplit=2)]
