import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import server
from models.catalogue.installed import format_size
from tests.support.servers.hub import COMMIT, Hub

ROOT = Path(__file__).parents[3]
NAME = "hf:owner/captioner"


def run(*arguments: str) -> int:
    return server.main(["captioner", *arguments])


def test_fetch_prints_the_pinned_form_for_the_settings(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fetch", NAME) == 0

    *_, command, setting = capsys.readouterr().out.splitlines()
    assert command == f"To use it: python server.py --captioner {NAME}@{COMMIT}"
    assert setting == f'or in the settings file: captioner = "{NAME}@{COMMIT}"'


def test_list_shows_what_can_be_used(
    hub: Hub, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repositories["owner/incomplete"] = hub.repositories["owner/captioner"]
    run("fetch", NAME)
    run("fetch", "hf:owner/incomplete")
    (cache / "models--owner--incomplete" / "snapshots" / COMMIT / "vocab.txt").unlink()
    capsys.readouterr()

    assert run("list") == 0

    shipped, cached = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +\d+ MB  non-commercial research and education +shipped", shipped)
    assert re.fullmatch(rf"  256 kB  bsd-3-clause +{NAME}@{COMMIT}  \(main\)", cached)


def test_list_without_a_cache_shows_the_shipped_captioner(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list") == 0
    assert capsys.readouterr().out.endswith("shipped\n")


def test_endpoints_are_listed_and_shown(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "sightline.toml"
    config.write_text('[endpoints.gpu]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "llava"\n')

    assert server.main(["--config", str(config), "captioner", "list"]) == 0
    assert capsys.readouterr().out.endswith(" endpoint:gpu\n")
    assert server.main(["--config", str(config), "captioner", "show", "endpoint:gpu"]) == 0
    assert "model         llava, on another server" in capsys.readouterr().out
    assert server.main(["--config", str(config), "captioner", "show", "endpoint:cpu"]) == 2
    assert "no [endpoints.cpu] in the settings; endpoints: gpu" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["owner/captioner", "hf:captioner", "endpoint:x", "shipped"])
def test_fetch_refuses_what_is_no_repository(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fetch", name) == 2
    assert re.fullmatch(
        r"sightline: .*hf:OWNER/NAME.*\n|.*did you mean.*\n", capsys.readouterr().err
    )


def test_an_interrupted_fetch_leaves_nothing_broken_and_sends_no_usage_data(
    hub: Hub, tmp_path: Path
) -> None:
    # The lost connection, too, is not reported with its signed URL.
    hub.faults.cut_after, hub.faults.stall_files = 100_000, True
    folders = {"HF_HOME": str(tmp_path), "HF_ENDPOINT": hub.url}
    # huggingface_hub would report it.
    environment = os.environ | folders | {"AI_AGENT": "a program"}
    fetching = subprocess.Popen(
        [sys.executable, "server.py", "captioner", "fetch", NAME],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with fetching:
        assert hub.faults.reached.wait(120)
        fetching.send_signal(signal.SIGINT)
        output, errors = fetching.communicate(timeout=120)

    assert fetching.returncode == 130
    assert "model.safetensors" in output
    assert errors == ""
    assert [path.name for path in tmp_path.rglob("*.incomplete")] == []
    assert hub.agents and not [each for each in hub.agents if "agent" in each]
    assert all("/owner/captioner" in path for _, path, _ in hub.requests)


def test_sizes_are_readable() -> None:
    assert [format_size(size) for size in (0, 999, 1000, 989_800_000, 1_879_000_000)] == [
        "0 bytes",
        "999 bytes",
        "1 kB",
        "990 MB",
        "1.9 GB",
    ]
