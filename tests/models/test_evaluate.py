"""Tests of the evaluation, by its command line."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from models.captioner.beam_search import BeamConfig, beam_search
from models.captioner.captioner import Captioner
from models.checkpoint import Card, save
from models.datasets import open_dataset
from models.evaluate import main
from models.evaluation.captions import Searcher, caption_grids
from models.evaluation.metrics import score
from models.language.content_words import describe
from models.language.vocabulary import sentence
from models.preprocessing import squeeze
from tests.models.conftest import MakeFlickr8k

BEAM = BeamConfig(width=2, max_length=6, length_power=0.7, alternatives=0, blocked_ngram=0)
COUNT = 53  # More than a batch.


@pytest.fixture
def data(tmp_path: Path, make_flickr8k: MakeFlickr8k) -> Path:
    folder = tmp_path / "data"
    captions = {f"{i}.png": ["A red dog runs .", "the dog's ball"] for i in range(COUNT)}
    make_flickr8k(folder, {"dev": captions, "train": {"t.png": ["a dog"]}})
    return folder


@pytest.fixture(scope="module")
def release(captioner: Captioner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    save(folder, captioner, Card("small", "nothing", "none", {}, BEAM))
    return folder


def expected_captions(captioner: Captioner, data: Path, width: int) -> dict[str, str]:
    """Caption the pictures of dev without the code under test."""
    dataset = open_dataset(data)
    names = [example.name for example in dataset.examples("dev")]
    pixels = np.stack([squeeze(dataset.image(name), 64) for name in names]).astype(np.float32)
    beam = replace(BEAM, width=width)
    tokens = np.asarray(beam_search(captioner.decoder, captioner.encoder(pixels), beam).tokens)
    texts = [sentence(captioner.vocabulary.decode(ids)) for ids in tokens.tolist()]
    return dict(zip(names, texts, strict=True))


def test_report_has_the_figures_and_each_images_caption(
    captioner: Captioner, release: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data.parent / "reports" / "dev.json"

    status = main(
        ["--data", str(data), "--captioner", str(release), "--split", "dev", "--out", str(out)]
    )

    assert status == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    expected = expected_captions(captioner, data, BEAM.width)
    assert len(set(expected.values())) > 1
    # Weights in half precision may turn a close decision, no more.
    same = sum(report["captions"][name] == caption for name, caption in expected.items())
    assert report["captions"].keys() == expected.keys()
    assert same >= COUNT - 3
    references = {example.name: example.captions for example in open_dataset(data).examples("dev")}
    scores = asdict(score(report["captions"], references))
    language = describe(list(report["captions"].values()))
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


def test_beam_width_can_be_chosen(captioner: Captioner, release: Path, data: Path) -> None:
    out = data.parent / "dev.json"

    main(
        ["--data", str(data), "--captioner", str(release), "--beam", "1", "--out", str(out)],
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
        (["--data", "{tmp}"], "no data set of a known layout"),
        (["--split", "validation"], "no split 'validation'; the splits are dev, train"),
        (["--captioner", "{tmp}/nowhere"], "nowhere holds no captioner"),
        (["--beam", "0"], "a beam search needs a width"),
        (["--out", "{data}/Flickr8k.token.txt/report.json"], "Flickr8k.token.txt"),
    ],
)
def test_mistake_is_told_in_a_line(
    release: Path,
    data: Path,
    changed: list[str],
    problem: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["--data", str(data), "--captioner", str(release)]

    status = main([*arguments, *(part.format(tmp=data.parent, data=data) for part in changed)])

    printed = capsys.readouterr()
    assert status == 2
    assert printed.err.startswith("evaluate: ")
    assert problem in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_damaged_picture_is_told(
    release: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "Images" / "7.png").write_bytes(b"no picture")

    assert main(["--data", str(data), "--captioner", str(release)]) == 2
    assert "7.png: not a readable image" in capsys.readouterr().err


def test_searcher_follows_the_decoders_weights(captioner: Captioner) -> None:
    grids = np.random.default_rng(0).uniform(0, 6, (3, 2, 2, 1280)).astype(np.float16)
    decoder = captioner.decoder
    searcher = Searcher(decoder, BEAM)
    before = caption_grids(captioner, searcher, grids)
    kept = decoder.get_weights()

    decoder.word_bias.assign_add(np.eye(12)[7] * 50)
    after = caption_grids(captioner, searcher, grids)
    decoder.set_weights(kept)

    assert before != after
    assert after == ["Ball ball ball ball ball ball"] * 3
    assert caption_grids(captioner, searcher, grids) == before
