"""Tests of python -m models.harden, and of attacks on captions."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import harden
from models.attacks import noise
from models.captioner.beam_search import BeamConfig
from models.captioner.captioner import Captioner
from models.captioner.teacher_forcing import teacher_forced_captions
from models.checkpoint import ModelCard, load, save
from models.consensus.search import CaptionSearch
from models.datasets import open_dataset
from models.hardening import HARMLESS, Student, load_hardened, read_hardened_card
from models.hardening.caption_attack import CaptionAttack
from models.hardening.card import Shares
from models.hardening.features import AttackStrength, FeatureCache, load_pixels
from models.hardening.robustness import RobustnessTest
from models.language import END, sentence
from models.preprocessing import resize_to_square
from tests.models.conftest import MakeFlickr8k, named_image

BEAM = BeamConfig(width=2, max_length=4)
EPSILON, LOST_IN_8_BITS = 4.0, 0.4
SPLITS = {"train": 24, "dev": 14}


@pytest.fixture(scope="module")
def captioner(lite0_captioner: Captioner) -> Captioner:
    """Its captions change under attack as those of a real one do."""
    return lite0_captioner


@pytest.fixture(scope="module")
def data(
    captioner: Captioner,
    tmp_path_factory: pytest.TempPathFactory,
    make_flickr8k: MakeFlickr8k,
) -> Path:
    """Images with the captions that the captioner finds, so that their CIDEr means something."""
    folder = tmp_path_factory.mktemp("data") / "flickr8k"
    names = {kind: [f"{kind[0]}{i}.png" for i in range(count)] for kind, count in SPLITS.items()}
    search = CaptionSearch(captioner.decoder, BEAM)
    splits = {}
    for kind, each in names.items():
        images = np.stack([resize_to_square(named_image(name), 64) for name in each])
        tokens = search(np.asarray(captioner.encoder(images.astype(np.float32)))).tokens
        captions = [sentence(captioner.vocabulary.decode(row.tolist())) for row in tokens]
        splits[kind] = {name: (text, text) for name, text in zip(each, captions, strict=True)}
    make_flickr8k(folder, splits)
    return folder


@pytest.fixture
def folder(tmp_path: Path, captioner: Captioner) -> Path:
    save(tmp_path / "captioner", captioner, ModelCard("made", "made up", "none", {}, BEAM))
    return tmp_path / "captioner"


def run(data: Path, folder: Path, *arguments: str) -> int:
    defaults: dict[str, object] = {
        "data": data,
        "captioner": folder,
        "run": folder.parent / "run",
        "epochs": 20,
        "choose-pictures": 6,
    }
    defaults |= {"least": EPSILON / 2, "most": EPSILON, "epsilon": EPSILON, "learning-rate": 0.0001}
    chosen = [text for name, value in defaults.items() for text in (f"--{name}", str(value))]
    return harden.main([*chosen, *arguments])


def log_probs(captioner: Captioner, grids: object, tokens: object) -> NDArray[np.float32]:
    """Return the log-probabilities of whole captions, [B]."""
    forced = teacher_forced_captions(captioner.decoder, grids, tokens, BEAM)
    return np.asarray(np.asarray(forced.search_log_probs, np.float32).sum(axis=1))


def test_attack_lowers_the_captions_probability_and_noise_does_not(
    data: Path, captioner: Captioner
) -> None:
    dataset = open_dataset(data)
    pixels = load_pixels(dataset, dataset.examples("train")[:4], 64)
    tokens = np.array([[4, 5, 10, 2, 0, 0]] * 3 + [[4, 11, 5, 8, 9, 2]], np.int32)

    attacked = CaptionAttack(captioner.encoder, captioner.decoder).perturb(
        pixels, tokens, EPSILON, 3
    )

    assert np.abs(attacked).max() <= EPSILON
    random = noise(np.random.default_rng(0), pixels, EPSILON, "linf")
    clean, under_attack, with_noise = (
        log_probs(captioner, captioner.encoder(each), tokens)
        for each in (pixels, pixels + attacked, pixels + random)
    )
    assert np.mean(clean - under_attack) > 5 * np.mean(np.abs(with_noise - clean))


def test_features_are_reused(data: Path, captioner: Captioner, tmp_path: Path) -> None:
    dataset = open_dataset(data)
    examples = dataset.examples("train")[:3]
    cache = FeatureCache(captioner, dataset, BEAM, AttackStrength(1, 2, 1))

    first = cache.features(examples, tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = cache.features(examples, tmp_path)

    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    head = Student(captioner, 0).head
    pixels = load_pixels(dataset, examples, 64)
    np.testing.assert_allclose(first.clean, head(pixels), rtol=2e-3, atol=2e-3)
    assert np.abs(first.clean - first.attacked).max() > np.abs(first.clean - first.noisy).max() > 0


@pytest.fixture(scope="module")
def hardened_folder(
    data: Path, captioner: Captioner, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a hardened captioner."""
    folder = tmp_path_factory.mktemp("hardened") / "captioner"
    save(folder, captioner, ModelCard("made", "made up", "none", {}, BEAM))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert run(data, folder, "--epsilon", f"{LOST_IN_8_BITS}") == 0
    assert "written to" in printed.getvalue()
    assert "| 4 grey levels, against plain | " in printed.getvalue()
    return folder


def assert_captions_are_kept(distinct: Shares, same: Shares, cider: Shares) -> None:
    """The models still have captions of their own for clean images.

    On a random network an attack moves an image further than any other image is, so that the
    hardened model keeps less of the captions than on a real one; the control keeps them.
    """
    for name, least in (("hardened", (0.6, 0.1, 0.2)), ("control", (0.6, 0.5, 0.5))):
        assert distinct[name] >= least[0] * distinct["plain"] > 0
        assert same[name] >= least[1]
        assert cider[name] >= least[2] * cider["plain"] > 0


def test_hardened_model_changes_fewer_captions(hardened_folder: Path) -> None:
    card = read_hardened_card(hardened_folder)
    assert card
    assert (card.pictures, card.encoder_blocks, card.chosen_by, card.reported) == (24, 1, 6, 8)
    assert_captions_are_kept(card.distinct, card.same, card.cider)
    against_plain = card.attacks[0]
    assert against_plain.changed["hardened"] < against_plain.changed["plain"]
    assert [row.change for row in card.harmless] == list(HARMLESS)
    assert [(row.epsilon, row.attacked) for row in card.attacks] == [
        (epsilon, against)
        for epsilon in (EPSILON, LOST_IN_8_BITS)
        for against in ("plain", "hardened")
    ]
    large, _, small, _ = card.attacks
    assert large.rounded["plain"] > 0
    assert small.rounded == dict.fromkeys(("plain", "hardened", "control"), 0)
    lost = card.lost[0]
    assert lost.words >= lost.lost >= lost.kept_hardened >= lost.fragile
    assert lost.kept_hardened - lost.fragile == lost.kept_control - lost.reverse

    captioner, _ = load(hardened_folder)
    found = load_hardened(hardened_folder, captioner)
    assert found
    weights = [each.get_weights() for each in (found.hardened, found.control)]
    for one, other in zip(*weights, strict=True):
        assert one.ndim < 2 or not np.array_equal(one, other)


def test_a_collapsed_model_keeps_no_captions(
    data: Path, captioner: Captioner, tmp_path: Path
) -> None:
    dataset, vocabulary = open_dataset(data), captioner.vocabulary
    examples = dataset.examples("dev")[6:]
    first_words = {each.captions[0].lower().split()[0] for each in examples}
    unused = next(
        token
        for token in range(len(vocabulary) - 1, END, -1)
        if not first_words & set(vocabulary.decode([token]))
    )
    # Whatever the image: this word, or the likeliest one that may follow it.
    preference = np.where(np.arange(len(vocabulary)) > END, 99.0 * np.arange(len(vocabulary)), 0)
    preference[unused] += 9999
    collapsed = Student(captioner, 0)
    collapsed.decoder.word_bias.assign_add(preference)
    students = {"hardened": collapsed, "control": Student(captioner, 0)}
    test = RobustnessTest(captioner, students, BEAM, dataset, examples, None, tmp_path)

    distinct, same, cider = test.distinct(), test.same(), test.cider(test.clean)

    assert same["control"] == 1
    kept = dict.fromkeys(test.clean, 1.0)
    assert_captions_are_kept(kept, kept, kept)
    for measured in ((distinct, kept, kept), (kept, same, kept), (kept, kept, cider)):
        with pytest.raises(AssertionError):
            assert_captions_are_kept(*measured)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--least", "5"], "--least and --most must be grey levels"),
        (["--choose-pictures", "20"], "no image of the development split is left"),
        (["--encoder-blocks", "99"], "the encoder has 16 blocks"),
        (["--steps", "0"], "--steps must be 1 or more"),
        (["--data", "/nowhere"], "/nowhere"),
    ],
)
def test_error_is_reported_in_one_line(
    data: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    assert run(data, folder, *arguments) == 2
    printed = capsys.readouterr().err
    assert problem in printed
    assert printed.count("\n") == 1
    assert read_hardened_card(folder) is None


def test_attacks_of_another_strength_are_not_reused(
    data: Path, hardened_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(data, hardened_folder, "--steps", "1") == 2
    assert "holds attacks of a run with other settings" in capsys.readouterr().err
