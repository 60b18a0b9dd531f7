import shutil
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest

from models.catalogue import CaptionerError, CaptionerReference, local_folder
from models.catalogue.download import fetch
from tests.models.catalogue.conftest import FILES
from tests.support.servers.hub import COMMIT, Hub, Repository

NAME = "hf:owner/captioner"
PINNED = f"{NAME}@{COMMIT}"
WANTED = {
    "config.json",
    "model.safetensors",
    "vocab.txt",
    "preprocessor_config.json",
    "README.md",
}


def download(text: str = NAME) -> str:
    return str(fetch(CaptionerReference.parse(text), lambda _: None))


def folder_of(text: str) -> Path:
    return local_folder(CaptionerReference.parse(text))


def refusal(text: str = NAME) -> str:
    with pytest.raises(CaptionerError) as refused:
        download(text)
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_only_what_a_captioner_needs_is_downloaded_once(hub: Hub) -> None:
    assert download() == PINNED
    files = {path.name: path.read_bytes() for path in folder_of(NAME).iterdir()}
    assert files == {name: FILES[name] for name in WANTED}
    assert set(hub.downloads()) == WANTED
    assert folder_of(PINNED) == folder_of(NAME)

    hub.requests.clear()
    assert download() == PINNED
    assert set(hub.downloads()) == {"config.json"}


def test_licence_size_and_revision_are_reported_before_the_download(hub: Hub) -> None:
    lines: list[str] = []
    downloaded: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        downloaded.extend(hub.downloads())

    fetch(CaptionerReference.parse(NAME), report)

    size = sum(len(FILES[name]) for name in WANTED)
    text = "\n".join(lines)
    assert lines[0] == PINNED
    assert "licence       bsd-3-clause" in text
    assert f"size          {size / 1000:.0f} kB in 5 files" in text
    assert "256 kB  model.safetensors" in text
    assert set(downloaded) == {"config.json"}


def test_a_pinned_captioner_that_is_complete_needs_no_hub(hub: Hub) -> None:
    download()
    hub.requests.clear()

    assert download(PINNED) == PINNED
    assert hub.requests == []


def test_what_is_on_this_machine_is_not_written_again(hub: Hub, cache: Path) -> None:
    download()
    branch = cache / "models--owner--captioner" / "refs" / "main"
    written = branch.stat().st_mtime_ns
    lines: list[str] = []

    fetch(CaptionerReference.parse(NAME), lines.append)

    assert lines[-1] == "All of it is on this machine."
    assert branch.stat().st_mtime_ns == written


def test_a_cut_download_continues_where_it_broke_off(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
    hub.faults.cut_after = 100_000

    download()

    ranges = [each for _, path, each in hub.requests if path.startswith("/cdn/")]
    assert ranges == [None, "bytes=100000-"]
    assert (folder_of(NAME) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_damaged_file_is_deleted_and_replaced_by_the_next_download(hub: Hub, cache: Path) -> None:
    hub.faults.flip = True
    assert "model.safetensors of hf:owner/captioner@0123" in (message := refusal())
    assert message.endswith("was damaged on the way and has been deleted; download it again")
    assert not [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size > 99999]
    with pytest.raises(CaptionerError, match="is not on this machine"):
        folder_of(NAME)

    hub.faults.flip = False
    assert download() == PINNED
    assert (folder_of(NAME) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_an_interrupted_update_leaves_the_previous_version(hub: Hub) -> None:
    download()
    previous = folder_of(NAME)
    repository = hub.repositories["owner/captioner"]
    repository.commit = COMMIT[::-1]
    repository.files["model.safetensors"] = b"new" * 50_000
    hub.faults.flip = True
    refusal()
    assert folder_of(NAME) == previous

    hub.faults.flip = False
    download()
    assert folder_of(NAME).name == COMMIT[::-1]
    assert folder_of(PINNED) == previous


def test_pickled_weights_are_refused_with_hugging_faces_conversion(hub: Hub) -> None:
    """As Salesforce/blip-image-captioning-base has it."""
    repository = hub.repositories["owner/captioner"]
    converted = Repository(dict(FILES), commit=COMMIT[::-1])
    empty = Repository({"config.json": b"{}"}, commit="f" * 40)
    repository.conversions = {7: empty, 38: converted}
    del repository.files["model.safetensors"]

    assert refusal().endswith(f"fetch Hugging Face's conversion of them, {NAME}@refs/pr/38")
    assert download(f"{NAME}@refs/pr/38") == f"{NAME}@{COMMIT[::-1]}"
    assert folder_of(f"{NAME}@refs/pr/38") == folder_of(f"{NAME}@{COMMIT[::-1]}")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"model.safetensors": None},
            "has its weights only as pytorch_model.bin, a format that can run code when it is "
            "loaded; use a repository that has model.safetensors, or a revision such as refs/pr/N",
        ),
        ({"model.safetensors": None, "pytorch_model.bin": None}, "lacks model.safetensors"),
        (
            {"model.safetensors": None, "model.safetensors.index.json": b"{}"},
            "has its weights in several files; Sightline reads a single model.safetensors",
        ),
        ({"vocab.txt": None}, "lacks vocab.txt"),
        ({"config.json": None}, "has no config.json, so it is no captioner"),
        (
            {"config.json": b'{"model_type": "git"}'},
            "names the architecture git, which Sightline cannot use; architectures that it can "
            "use: blip (BlipForConditionalGeneration)",
        ),
        ({"config.json": b"<html>"}, "is damaged: it is not the JSON of a captioner"),
        ({"config.json": b" " * 1_000_001}, "is damaged: it is not the JSON of a captioner"),
        ({"config.json": b'{"captioner": {}}'}, "Sightline downloads no other format"),
    ],
)
def test_an_unsuitable_repository_is_refused_before_the_download(
    hub: Hub, cache: Path, changes: dict[str, bytes | None], reason: str
) -> None:
    files = FILES | changes
    hub.repositories["owner/captioner"].files = {
        name: data for name, data in files.items() if data is not None
    }

    assert reason in refusal()
    assert set(hub.downloads()) <= {"config.json"}
    assert not cache.exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hf:owner/other", "has no public repository owner/other; check the name"),
        (f"{NAME}@v9", "owner/captioner has no revision v9; see http"),
        ("shipped", "shipped cannot be downloaded; only hf:OWNER/NAME can"),
    ],
)
def test_what_does_not_exist_is_named(hub: Hub, text: str, reason: str) -> None:
    assert reason in refusal(text)


def test_a_gated_repository_says_where_to_accept_its_terms(hub: Hub) -> None:
    hub.repositories["owner/captioner"].gated = True

    message = refusal()

    assert f"is gated: accept its terms at {hub.url}/owner/captioner, then log in with" in message


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "status 401: log in again with hf auth login, or correct HF_TOKEN"),
        (403, "the access token does not allow it"),
        (429, "too many requests; try again in a few minutes"),
        (500, "status 500: try again later"),
    ],
)
def test_a_refusal_of_the_hub_is_one_sentence(hub: Hub, status: int, reason: str) -> None:
    hub.faults.status = status

    assert reason in refusal()


@pytest.mark.parametrize("body", [b"<html>Log in to the hotel's network</html>", b"[]", b"{}"])
def test_what_is_no_hub_is_noticed(hub: Hub, body: bytes) -> None:
    hub.faults.body = body

    assert "does not answer as the Hugging Face Hub" in refusal()


def test_a_hub_that_does_not_respond_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.catalogue.download._TIMEOUT_S", 0.2)
    hub.faults.stall_information = True

    assert f"{hub.url} does not respond; check the network" in refusal()


def test_a_file_that_does_not_come_ends_the_download(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.1)
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
    hub.faults.stall_files = True

    assert "does not respond" in refusal()
    assert not list(cache.rglob("*.incomplete"))


def test_no_network_is_one_sentence(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")

    assert "http://127.0.0.1:9 cannot be reached: " in (message := refusal())
    assert message.endswith("; check the network")


def test_offline_mode_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert refusal() == (
        "HF_HUB_OFFLINE is set, so hf:owner/captioner cannot be downloaded; unset it"
    )
    assert hub.requests == []


def test_a_disk_without_space_is_noticed_before_the_download(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 2000))

    message = refusal()

    assert f"needs 256 kB and 67 MB to spare, but only 2 kB are free in {cache}; free" in message
    assert set(hub.downloads()) == {"config.json"}


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, cache: Path) -> None:
    cache.write_text("a file")

    assert f"cannot write {cache}" in (message := refusal())
    assert message.endswith("set HF_HOME to a folder that can be written")
