"""Several data sets as one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.datasets.base import Dataset, DatasetError


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
