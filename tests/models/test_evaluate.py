"""Tests of python -m models.evaluate."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.captioner import Captioner
from models.checkpoint import ModelCard, save
from models.consensus.search import CaptionSearch
from models.datasets import open_dataset
from models.evaluate import main
from models.language import language_statistics, sentence
from models.metrics import caption_grids, score
from models.preprocessing import resize_to_square
from tests.models.conftest import MakeFlickr8k

BEAM = BeamConfig(
    width=2, max_length=6, length_power=0.7, alternatives=0, blocked_ngram=0, blocked_window=0
)
COUNT = 53  # More than a batch.


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    captions = {f"{i}.png": ["A red dog runs .", "the dog's ball"] for i in range(COUNT)}
    make_flickr8k(folder, {"dev": captions, "train": {"t.png": ["a dog"]}})
    return folder


@pytest.fixture(scope="module")
def checkpoint(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    save(folder, captioner, ModelCard("small", "nothing", "none", {}, BEAM))
    return folder


def expected_captions(captioner: Captioner, data: Path, width: int) -> dict[str, str]:
    """Caption the images of dev without the code under test."""
    dataset = open_dataset(data)
    names = [example.name for example in dataset.examples("dev")]
    pixels = np.stack([resize_to_square(dataset.image(name), 64) for name in names]).astype(
        np.float32
    )
    beam = replace(BEAM, width=width)
    tokens = np.asarray(beam_search(captioner.decoder, captioner.encoder(pixels), beam).tokens)
    texts = [sentence(captioner.vocabulary.decode(ids)) for ids in tokens.tolist()]
    return dict(zip(names, texts, strict=True))


def test_report_has_the_figures_and_each_images_caption(
    captioner: Captioner, checkpoint: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data.parent / "reports" / "dev.json"

    status = main(
        ["--data", str(data), "--captioner", str(checkpoint), "--split", "dev", "--out", str(out)]
    )

    assert status == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    expected = expected_captions(captioner, data, BEAM.width)
    assert len(set(expected.values())) > 1
    # Half-precision weights may change a close decision, but no more.
    same = sum(report["captions"][name] == caption for name, caption in expected.items())
    assert report["captions"].keys() == expected.keys()
    assert same >= COUNT - 3
    references = {example.name: example.captions for example in open_dataset(data).examples("dev")}
    scores = asdict(score(report["captions"], references))
    language = language_statistics(list(report["captions"].values()))
    assert report["figures"] == pytest.approx(scores | asdict(language))
    assert (report["captioner"], report["split"], report["images"], report["beam"]) == (
        "small",
        "dev",
        COUNT,
        2,
    )
    printed = dict(line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert printed == {
        "BLEU-1": f"{scores['bleu_1']:.3f}",
        "BLEU-2": f"{scores['bleu_2']:.3f}",
        "BLEU-3": f"{scores['bleu_3']:.3f}",
        "BLEU-4": f"{scores['bleu_4']:.3f}",
        "ROUGE-L": f"{scores['rouge_l']:.3f}",
        "CIDEr": f"{scores['cider']:.3f}",
        "distinct": f"{language.distinct:.1%}",
        "words a caption": f"{language.words:.1f}",
        "bad endings": f"{language.bad_endings:.1%}",
    }


def test_beam_width_can_be_chosen(captioner: Captioner, checkpoint: Path, data: Path) -> None:
    out = data.parent / "dev.json"

    main(
        ["--data", str(data), "--captioner", str(checkpoint), "--beam", "1", "--out", str(out)],
    )

    report = json.loads(out.read_text(encoding="utf-8"))
    greedy = expected_captions(captioner, data, 1)
    assert greedy != expected_captions(captioner, data, BEAM.width)
    assert report["beam"] == 1
    assert sum(report["captions"][name] == caption for name, caption in greedy.items()) > COUNT - 4


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (["--data", "{tmp}/nowhere"], "nowhere: no such folder"),
        (["--data", "{tmp}"], "no dataset of a known layout"),
        (["--split", "validation"], "no split 'validation'; choose one of dev, train"),
        (["--captioner", "{tmp}/nowhere"], "nowhere is not a captioner checkpoint"),
        (["--beam", "0"], "beam search: width and max_length must be 1 or more"),
        (["--out", "{data}/Flickr8k.token.txt/report.json"], "Flickr8k.token.txt"),
    ],
)
def test_error_is_reported_in_one_line(
    checkpoint: Path,
    data: Path,
    changed: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--data", str(data), "--captioner", str(checkpoint)]

    status = main([*arguments, *(part.format(tmp=data.parent, data=data) for part in changed)])

    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.startswith("evaluate: ")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_damaged_image_is_reported(
    checkpoint: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "Images" / "7.png").write_bytes(b"not an image")

    assert main(["--data", str(data), "--captioner", str(checkpoint)]) == 2
    assert "7.png: not a readable image" in capsys.readouterr().err


def test_search_uses_the_current_weights_of_the_decoder(captioner: Captioner) -> None:
    grids = np.random.default_rng(0).uniform(0, 6, (3, 2, 2, 1280)).astype(np.float16)
    decoder = captioner.decoder
    search = CaptionSearch(decoder, BEAM)
    before = caption_grids(captioner, search, grids)
    kept = decoder.get_weights()

    decoder.word_bias.assign_add(np.eye(12)[7] * 50)
    after = caption_grids(captioner, search, grids)
    decoder.set_weights(kept)

    assert before != after
    assert after == ["Ball ball ball ball ball ball"] * 3
    assert caption_grids(captioner, search, grids) == before
