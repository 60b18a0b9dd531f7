import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.hub import Hub, Repository, running_hub

FILES = {
    "config.json": json.dumps({"model_type": "blip"}).encode(),
    "model.safetensors": bytes(range(256)) * 1000,
    "vocab.txt": b"[PAD]\n[UNK]\n",
    "preprocessor_config.json": b"{}",
    "README.md": b"---\nlicense: bsd-3-clause\n---\n# A captioner\n",
    "pytorch_model.bin": b"pickled",
    "modeling.py": b"raise SystemExit",
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Hugging Face, in place of the user's."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub with the repository `owner/captioner`."""
    with running_hub({"owner/captioner": Repository(dict(FILES))}) as running:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE",
            running.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        yield running
