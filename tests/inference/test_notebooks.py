"""The notebooks, run in a kernel as their readers run them."""

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

import inference

NOTEBOOKS = Path(inference.__file__).parent / "notebooks"
_MAX_BYTES = 20_000
"""They are stored without outputs, which would change with every run."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs a notebook in an empty folder, and returns its outputs by cell."""
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOKS.parents[1]))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "work").mkdir()

    def run(name: str) -> list[str]:
        notebook = _read(NOTEBOOKS / name)
        resources = {"metadata": {"path": str(tmp_path / "work")}}
        client = nbclient.NotebookClient(notebook, timeout=200, resources=resources)
        client.execute()
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        outputs = [output for cell in cells for output in cell.outputs]
        assert [each for each in outputs if each.get("name") == "stderr"] == []
        return ["\n".join(map(_text, cell.outputs)) for cell in cells]

    return run


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def _text(output: Any) -> str:
    """Return what an output shows, its richest form first."""
    data = output.get("data", {})
    for kind in ("text/html", "text/markdown", "image/png", "text/plain"):
        if kind in data:
            return f"{kind}: {data[kind]}"
    return str(output.get("text", ""))


def test_notebooks_are_small_and_have_no_outputs() -> None:
    files = sorted(NOTEBOOKS.glob("*.ipynb"))

    assert len(files) == 2
    for file in files:
        notebook = _read(file)
        nbformat.validate(notebook)
        assert file.stat().st_size < _MAX_BYTES
        assert [cell for cell in notebook.cells if cell.get("outputs")] == []


def test_captions_and_explains_an_image(run: Any, tmp_path: Path) -> None:
    loaded, caption, words, heat, contrast, methods, others, array, saved, many = run(
        "caption_and_explain.ipynb"
    )

    assert "Captioner" in loaded
    assert 'text/html: <figure style="margin:0"><img src="data:image/webp;base64,' in caption
    assert "skateboard" in caption
    assert "skateboarder" in words
    for shown in (heat, contrast, *others.split("\n")):
        assert shown.startswith("text/html: <figure")
    assert "skateboarder instead of surfer" in contrast
    assert "integrated-gradients" in methods
    assert array.startswith("(9, 9) logit peak in row")
    assert "(9, 9)" in saved
    assert len(many.splitlines()) == 7
    files = {path.name for path in (tmp_path / "work").iterdir()}
    assert files == {"skateboard.png", "skateboard.npz", "skateboard.json"}


def test_scores_maps(run: Any) -> None:
    *_, table, figure, word = run("score_your_maps.ipynb")

    assert table.startswith("text/markdown: ")
    for name in ("contrast", "readcam", "random", "centre"):
        assert f"| `{name}` |" in table
        assert f"{name:14} deletion area 0." in word
    assert figure.startswith("image/png: ")
