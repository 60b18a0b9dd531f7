import json
import shutil
from pathlib import Path

import pytest

from inference.captioners.opening import open_captioner
from models.checkpoint import CheckpointError


def test_an_unknown_architecture_is_an_error_that_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "git"}))

    with pytest.raises(CheckpointError, match=r"architecture git, .* blip"):
        open_captioner(tmp_path)


def test_a_folder_without_a_captioner_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        open_captioner(tmp_path)


def test_a_damaged_consensus_is_refused_unless_it_is_switched_off(
    choosing: Path, tmp_path: Path
) -> None:
    damaged = Path(shutil.copytree(choosing, tmp_path / "damaged"))
    (damaged / "consensus.npz").write_bytes(b"no archive")

    with pytest.raises(CheckpointError, match=r"consensus\.npz in .* is truncated or damaged"):
        open_captioner(damaged)
    assert not open_captioner(damaged, consensus=False).consensus
