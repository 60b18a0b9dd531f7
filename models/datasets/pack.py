"""Reader of packed datasets: a captions table and tar shards of small images."""

import posixpath
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.datasets.base import Dataset, DatasetError, Example, decode_image, read_lines

CAPTIONS_FILE = "captions.tsv"
SHARDS_PATTERN = "images-*.tar"
TEXTS_FILE = "text-only.txt"
_HEADER = "image\tsplit\tcaption"


class _Member(NamedTuple):
    shard: Path
    offset: int
    size: int


class PackDataset(Dataset):
    """A dataset packed for training.

    `captions.tsv` has the header `image`, `split`, `caption` and one caption a line; fields are
    separated by tabs and not quoted. The images are members of `images-*.tar`. The optional
    `text-only.txt` has captions without images, one a line.
    """

    def __init__(self, folder: Path) -> None:
        """Read the captions and index the shards.

        Args:
            folder: The folder with `captions.tsv` and the shards.

        Raises:
            DatasetError: If a file is missing or malformed, or a captioned image is in no shard.
        """
        captions = folder / CAPTIONS_FILE
        examples = _read_captions(captions)
        self._members = _index_shards(folder)
        for example in examples:
            if example.name not in self._members:
                raise DatasetError(
                    f"{captions}: image {example.name} is in none of {folder / SHARDS_PATTERN}; "
                    "fetch the missing shard"
                )
        texts = folder / TEXTS_FILE
        self._texts = tuple(read_lines(texts)) if texts.exists() else ()
        super().__init__(examples)

    @property
    def texts(self) -> tuple[str, ...]:  # noqa: D102 (inherited)
        return self._texts

    def image(self, name: str) -> NDArray[np.uint8]:  # noqa: D102 (inherited)
        if name not in self._members:
            raise DatasetError(f"no image {name!r} in the shards; give the name of an example")
        shard, offset, size = self._members[name]
        try:
            with shard.open("rb", buffering=0) as file:
                file.seek(offset)
                encoded = file.read(size)
        except OSError as error:
            raise DatasetError(f"{shard}: cannot be read ({error.strerror})") from error
        return decode_image(encoded, f"{shard}: {name}")


def _read_captions(path: Path) -> list[Example]:
    lines = read_lines(path)
    if not lines or lines[0] != _HEADER:
        raise DatasetError(f"{path}: line 1 must be the header {_HEADER!r}")
    splits: dict[str, str] = {}
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(lines[1:], start=2):
        fields = line.split("\t")
        if len(fields) != 3 or not all(fields):
            raise DatasetError(
                f"{path}: line {number} must have an image, a split and a caption, "
                "separated by single tabs"
            )
        name, split, caption = fields
        if splits.setdefault(name, split) != split:
            raise DatasetError(
                f"{path}: line {number} puts {name} in split {split}, "
                f"an earlier line in {splits[name]}"
            )
        captions.setdefault(name, []).append(caption)
    if not captions:
        raise DatasetError(f"{path}: no captions below the header")
    return [Example(name, split, tuple(captions[name])) for name, split in splits.items()]


def _index_shards(folder: Path) -> dict[str, _Member]:
    shards = sorted(folder.glob(SHARDS_PATTERN))
    if not shards:
        raise DatasetError(
            f"{folder}: no shard {SHARDS_PATTERN} beside {CAPTIONS_FILE}; fetch the images"
        )
    members: dict[str, _Member] = {}
    for shard in shards:
        try:
            # Mode "r:" refuses compressed files, whose members cannot be read by offset.
            with tarfile.open(shard, "r:") as archive:
                for member in archive:
                    if not member.isfile():
                        continue
                    name = posixpath.normpath(member.name)
                    if name in members:
                        raise DatasetError(
                            f"{shard}: image {name} is also in {members[name].shard}; keep one"
                        )
                    members[name] = _Member(shard, member.offset_data, member.size)
        except (OSError, tarfile.TarError) as error:
            raise DatasetError(
                f"{shard}: not a complete uncompressed tar file ({error}); fetch it again"
            ) from error
    return members
