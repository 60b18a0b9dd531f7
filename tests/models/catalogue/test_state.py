import hashlib
import json
import stat
from pathlib import Path

import pytest

from models.catalogue import (
    SHIPPED_FOLDER,
    CaptionerError,
    read_measurement,
    state_folder,
    write_measurement,
)
from models.catalogue.state import captioner_sha256

VALUES = {"temperature": 1.5, "weights": [1, 2]}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "sightline" / "captioners"


def published(folder: Path, weights: bytes = b"weights") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "blip"}')
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def test_what_was_measured_is_read_again(tmp_path: Path, state: Path) -> None:
    folder = published(tmp_path / "my captioner")
    assert read_measurement(folder, "calibration") is None

    path = write_measurement(folder, "calibration", VALUES)

    digest = hashlib.sha256(b"weights").hexdigest()
    assert path == state / f"my-captioner-{digest[:16]}" / "calibration.json"
    assert read_measurement(folder, "calibration") == VALUES
    assert read_measurement(folder, "faithfulness") is None
    assert [each.name for each in path.parent.iterdir()] == ["calibration.json"]


def test_a_service_can_read_what_root_has_measured_for_it(tmp_path: Path) -> None:
    path = write_measurement(published(tmp_path / "captioner"), "calibration", VALUES)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_it_is_not_used_for_other_weights(tmp_path: Path) -> None:
    folder = published(tmp_path / "captioner")
    path = write_measurement(folder, "calibration", VALUES)

    published(folder, b"other")
    assert read_measurement(folder, "calibration") is None

    # Even if the folder's name were the same.
    digest = hashlib.sha256(b"other").hexdigest()
    path.parent.rename(path.parent.with_name(f"captioner-{digest[:16]}"))
    assert read_measurement(folder, "calibration") is None


def test_the_digest_of_a_download_is_its_name_in_the_cache(tmp_path: Path) -> None:
    snapshot = published(tmp_path / "models--a--b" / "snapshots" / ("0" * 40))
    blob = tmp_path / "models--a--b" / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    (snapshot / "model.safetensors").rename(blob)
    (snapshot / "model.safetensors").symlink_to(blob)

    assert captioner_sha256(snapshot) == "ab" * 32
    assert write_measurement(snapshot, "x", {}).parent.name == "a-b-abababababababab"


def test_the_digest_of_ones_own_captioner_is_in_its_card() -> None:
    config = json.loads((SHIPPED_FOLDER / "config.json").read_text())

    assert captioner_sha256(SHIPPED_FOLDER) == config["sha256"]["weights"]


@pytest.mark.parametrize("data", ["", "{", "[]", "{}", '{"weights_sha256": 1}', "[" * 100_000])
def test_a_damaged_file_is_named(tmp_path: Path, data: str) -> None:
    folder = published(tmp_path / "captioner")
    path = write_measurement(folder, "calibration", VALUES)
    path.write_text(data)

    with pytest.raises(CaptionerError) as refused:
        read_measurement(folder, "calibration")
    assert str(refused.value) == (f"{path} is damaged; delete it, or measure the captioner again")

    write_measurement(folder, "calibration", VALUES)
    assert read_measurement(folder, "calibration") == VALUES


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = published(tmp_path / "captioner")
    path = write_measurement(folder, "calibration", VALUES)
    path.unlink()
    path.mkdir()

    with pytest.raises(CaptionerError, match=f"{path} cannot be read: Is a directory"):
        read_measurement(folder, "calibration")


def test_a_user_without_a_home_folder_has_measured_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_key_error(_: int) -> None:
        raise KeyError

    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", raise_key_error)
    folder = published(tmp_path / "captioner")

    assert read_measurement(folder, "calibration") is None
    with pytest.raises(CaptionerError, match=r"no home folder .*; set XDG_STATE_HOME"):
        write_measurement(folder, "calibration", VALUES)


def test_the_folder_follows_systemd_and_xdg(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_folder() == tmp_path / "state" / "sightline"
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/sightline:/other")
    assert state_folder() == Path("/var/lib/sightline")
