"""Tests of the repository's layout: folders, module sizes and imports."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "inference", "stream", "web")
MAX_MODULES = 15
"""Per folder, without its subfolders."""
MAX_LINES = 400
"""Per module."""
HEAVY = ("tensorflow", "keras", "ai_edge_litert", "sklearn", "scipy", "matplotlib", "tqdm", "torch")
"""Libraries that take seconds or hundreds of megabytes to load."""


def _modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def _package(path: Path) -> str:
    return ".".join(path.parent.relative_to(ROOT).parts)


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Yield each `from MODULE import NAME` of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def test_a_folder_holds_few_modules() -> None:
    folders = Counter(
        path.parent for path in _modules(*PACKAGES, "tests") if path.name != "__init__.py"
    )

    assert {str(f.relative_to(ROOT)): n for f, n in folders.items() if n > MAX_MODULES} == {}


def test_a_module_is_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (*_modules(*PACKAGES), ROOT / "server.py")
    }

    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_public_names_are_imported_from_the_package_that_exports_them() -> None:
    exported = {
        (module, name): _package(path)
        for path in _modules(*PACKAGES)
        if path.name == "__init__.py"
        for module, name in _imports(path)
        if module.startswith(_package(path) + ".")
    }
    deep = [
        f"{path.relative_to(ROOT)}: import {name} from {exported[module, name]}, not from {module}"
        for path in (*_modules(*PACKAGES), ROOT / "server.py")
        for module, name in _imports(path)
        if (module, name) in exported and _package(path) != exported[module, name]
    ]

    assert deep == []


@pytest.mark.parametrize("module", ["server", "web.app", "inference.engine", "inference.api"])
def test_the_servers_process_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
