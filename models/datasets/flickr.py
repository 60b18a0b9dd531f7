"""The layout in which Flickr8k was published.

M. Hodosh, P. Young, J. Hockenmaier, "Framing Image Description as a Ranking Task: Data, Models
and Evaluation Metrics", JAIR 47 (2013) 853-899.

The layout in which Flickr30k is commonly distributed.

P. Young, A. Lai, M. Hodosh, J. Hockenmaier, "From Image Descriptions to Visual Denotations: New
Similarity Metrics for Semantic Inference over Event Descriptions", TACL 2 (2014) 67-78.
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

SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "dev": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}

FLICKR8K_FOLDERS = ("Flicker8k_Dataset", "Images")

_LINE = re.compile(r"(?P<name>[^#\t]+)#\d+\t(?P<caption>.+)")

# The published captions describe this image, the published images lack it.
_NEVER_PUBLISHED = "2258277193_586949ec62.jpg.1"

FLICKR30K_CAPTIONS = "results.csv"

FLICKR30K_FOLDERS = ("flickr30k_images", "flickr30k-images")

_HEADER = ["image_name", "comment_number", "comment"]

_DEV_PERCENT = 3

_TEST_PERCENT = 3


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
    raise DatasetError(f"{folder}: no folder of images; looked for {'/, '.join(names)}/ in it")


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


class Flickr30kDataset(ImageFolderDataset):
    """Flickr30k: `results.csv` and a folder of images.

    A line of `results.csv` is `image_name| comment_number| comment`, unquoted; blanks around a
    field are dropped. The file has no splits, so a hash of an image's name assigns them: about
    94 % `train`, 3 % `dev` and 3 % `test`, the same on every machine and whatever else the file
    holds. They are not the splits that published results use. Flickr30k extends Flickr8k, so its
    `train` holds images of Flickr8k's `test`.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and assign the splits.

        Args:
            folder: The folder that holds `results.csv` and `flickr30k_images/`,
                `flickr30k-images/` or the images themselves.

        Raises:
            DatasetError: The file is missing or malformed, or a captioned image has no file.
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
    """Assign a split by an image's name alone.

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
        # Copies in circulation have one line that lacks its second separator.
        if len(fields) != 3 or not all(fields) or not fields[1].isdecimal():
            raise DatasetError(
                f"{path}: line {number} must be '{'| '.join(_HEADER)}' but is {line[:80]!r}; "
                "insert the missing separator"
            )
        yield fields[0], fields[2]


def _fields(line: str) -> list[str]:
    return [field.strip() for field in line.split("|", maxsplit=2)]
