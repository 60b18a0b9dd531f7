"""EfficientNetV2 with one block per stage, before its depth is scaled: quick to build."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from keras.src.applications.efficientnet_v2 import DEFAULT_BLOCKS_ARGS


@contextmanager
def shallow_v2(*names: str) -> Iterator[None]:
    """Build the encoders of these names so for a while, by Keras's own code; others stay deep."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            for stage in DEFAULT_BLOCKS_ARGS[name]:
                patch.setitem(stage, "num_repeat", 1)
        yield
