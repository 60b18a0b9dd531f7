"""The wheel and the source distribution that `make dist` builds."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

from tests.test_architecture import PACKAGES, ROOT

_MAX_BYTES = 60_000_000
"""Of the wheel; nearly all of it are the weights of the shipped captioner."""

_FILES = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "server.py")
_NOT_SHIPPED = (
    # Documentation, except for the licences and sources of data.
    *("*/README.md", "web/*.md", "*/faithfulness.webp", "web/screenshot.webp", "*.ipynb"),
    # The linters of the page.
    *("web/*.json", "web/*.config.js", "web/.npmrc"),
)
_SHIPPED = ("models/weights/*/*",)

_JUNK = (
    *(
        "web/node_modules/tool/__init__.py",
        "web/static/js/common/.draft.js~",
        "models/runs/big.npz",
    ),
    *("inference/__pycache__/old.pyc", "tests/test_something.py", "build/lib/inference/deleted.py"),
    *("dist/sightline-0.0.1.tar.gz", "runs/train/weights.npz", "stream/.env"),
)
"""What lies in a working copy and must not be distributed."""


@pytest.fixture(scope="module")
def wheel_and_sdist(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both, built in a copy of the repository as by `make dist`, but with the installed setuptools.

    The wheel is built from the source distribution, so nothing that it needs is missing there.
    """
    copy = tmp_path_factory.mktemp("repository")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / package, copy / package, ignore=ignored)
    for name in _FILES:
        shutil.copy(ROOT / name, copy)
    for name in _JUNK:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("# junk")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def _expected() -> set[str]:
    """Return all files of the packages that a user needs."""
    files = {"server.py"}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            name = path.relative_to(ROOT).as_posix()
            if path.is_dir() or {"node_modules", "__pycache__"} & set(path.parts):
                continue
            left_out = any(map(PurePosixPath(name).match, _NOT_SHIPPED))
            if not left_out or any(map(PurePosixPath(name).match, _SHIPPED)):
                files.add(name)
    return files


def test_the_wheel_has_every_module_and_data_file_and_nothing_else(
    wheel_and_sdist: tuple[Path, Path],
) -> None:
    wheel, _ = wheel_and_sdist
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if not name.startswith("sightline-")}

    assert names - _expected() == set()
    assert _expected() - names == set()
    assert wheel.stat().st_size < _MAX_BYTES


def test_the_source_distribution_has_no_tests_and_no_leftovers(
    wheel_and_sdist: tuple[Path, Path],
) -> None:
    _, sdist = wheel_and_sdist
    with tarfile.open(sdist) as opened:
        names = {name.partition("/")[2] for name in opened.getnames() if "." in name}

    assert names >= _expected() | set(_FILES)
    assert names & set(_JUNK) == set()
    assert [name for name in names if name.startswith(("tests", "build", "dist", "runs"))] == []


def test_the_metadata_is_complete(wheel_and_sdist: tuple[Path, Path]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with zipfile.ZipFile(wheel_and_sdist[0]) as opened:
        (folder,) = {name.split("/")[0] for name in opened.namelist() if ".dist-info/" in name}
        read = {
            name: opened.read(f"{folder}/{name}").decode()
            for name in ("METADATA", "entry_points.txt", "licenses/LICENSE")
        }
    metadata: Message = Parser().parsestr(read["METADATA"])

    assert metadata["Version"] == project["version"] == folder.split("-")[1].removesuffix(".dist")
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == project["requires-python"]
    assert "Live captions that show what they looked at" in metadata.get_payload()
    assert read["licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert re.search(r"^sightline = server:console$", read["entry_points.txt"], re.M)
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, wheel_and_sdist)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unpacked_wheel_captions_the_demo(
    wheel_and_sdist: tuple[Path, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(wheel_and_sdist[0]) as opened:
        opened.extractall(tmp_path / "site")
    code = "import server; print(server.__file__, flush=True); server.console()"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    command = [sys.executable, "-c", code, "caption", "demo", "--limit", "1"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    module, line = done.stdout.splitlines()
    assert module == str(tmp_path / "site" / "server.py")
    assert re.fullmatch(r" *0:00\.0  A skateboarder .*sure.*", line)
