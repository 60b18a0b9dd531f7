"""Train a model that resists attacks on a captioner, and a control that only resists noise.

    python -m models.harden --data DIR --run DIR

Images of the training split are attacked so that the captioner's own captions become improbable
(L-inf, PGD, with strengths drawn from a range). A copy of the decoder and of the encoder's last
block learns to give the same captions nevertheless. A second copy, the control, learns as long from
images with random noise of the same sizes. Both are written into the captioner's folder
(hardened.npz), with what attacks and harmless changes do to the captions of each on the development
split; the images that choose the epoch are not among those that are reported. The run's folder
caches the attacked images, the training state and the captions, so a stopped run resumes where it
stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras

from models.captioner import Captioner
from models.catalogue.options import add_captioner_folder, add_dataset
from models.checkpoint import CheckpointError, ModelCard, load
from models.consensus import load_consensus
from models.datasets import Dataset, DatasetError, open_dataset
from models.digests import weights_sha256
from models.hardening import HardenedCard, Student, round_weights, save_hardened
from models.hardening.card import Shares
from models.hardening.features import AttackStrength, FeatureCache, PerturbedFeatures
from models.hardening.robustness import RobustnessTest
from models.hardening.training import Perturbation, Schedule, train_student

_LEAST_DISTINCT = 0.5
"""Different captions of the hardened model that are needed, as a share of the plain model's."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        path, card = _run(options)
    except (DatasetError, CheckpointError, OSError, ValueError) as problem:
        print(f"harden: {problem}", file=sys.stderr)
        return 2
    _print(card)
    print(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m models.harden",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_dataset(parser)
    add_captioner_folder(parser)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--encoder-blocks",
        type=int,
        default=1,
        metavar="N",
        help="train the encoder's last N blocks, too; 0 for the decoder alone (default: 1)",
    )
    parser.add_argument(
        "--pictures", type=int, default=4000, help="training images (default: 4000)"
    )
    parser.add_argument("--epochs", type=int, default=8, help="maximum epochs (default: 8)")
    parser.add_argument(
        "--learning-rate", type=float, default=3e-4, metavar="RATE", help="default: 0.0003"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    strength = parser.add_argument_group("attacks, in grey levels of 0..255")
    strength.add_argument("--least", type=float, default=0.05, help="least epsilon (default: 0.05)")
    strength.add_argument("--most", type=float, default=1.0, help="largest epsilon (default: 1)")
    strength.add_argument("--steps", type=int, default=2, help="PGD steps in training (default: 2)")
    measure = parser.add_argument_group("measurement")
    measure.add_argument(
        "--epsilon", type=float, action="append", help="repeatable (default: 0.125, 0.5 and 1)"
    )
    measure.add_argument("--test-steps", type=int, default=4, help="PGD steps (default: 4)")
    measure.add_argument(
        "--choose-pictures",
        type=int,
        default=300,
        metavar="N",
        help="images, the first of dev, that choose the best epoch (default: 300)",
    )
    measure.add_argument(
        "--report-pictures",
        type=int,
        metavar="N",
        help="images, the next of dev, to measure on (default: all others)",
    )
    return parser


def _run(options: argparse.Namespace) -> tuple[Path, HardenedCard]:
    _check(options)
    keras.config.disable_interactive_logging()
    dataset = open_dataset(options.data)
    if len(dataset.examples("dev")) <= options.choose_pictures:
        raise ValueError(
            "no image of the development split is left to measure on after the "
            f"{options.choose_pictures} that choose the epoch; give a smaller --choose-pictures"
        )
    captioner, card = load(options.captioner)
    _claim_folder(options.run, options)
    train, chosen_by = _features(options, captioner, card, dataset)
    epochs, students = 0, {}
    learns_from: dict[str, Perturbation] = {"hardened": "attacked", "control": "noisy"}
    for name, perturbation in learns_from.items():
        students[name] = Student(captioner, options.encoder_blocks)
        epochs = train_student(
            captioner,
            students[name],
            perturbation,
            train,
            chosen_by,
            Schedule(options.epochs, options.learning_rate, options.seed),
            _trained(options) / name,
            stop_after=epochs or None,
        )
    # What is measured is what is stored.
    for student in students.values():
        round_weights(captioner, student)
    hardened_card = _measure(options, captioner, card, dataset, students)
    hardened_card = replace(hardened_card, pictures=len(train.captions), epochs=epochs)
    path = save_hardened(
        options.captioner, captioner, students["hardened"], students["control"], hardened_card
    )
    return path, hardened_card


def _features(
    options: argparse.Namespace, captioner: Captioner, card: ModelCard, dataset: Dataset
) -> tuple[PerturbedFeatures, PerturbedFeatures]:
    """Attack the images of training, and those that choose the epoch."""
    strength = AttackStrength(options.least, options.most, options.steps)
    blocks = options.encoder_blocks
    cache = FeatureCache(captioner, dataset, card.beam, strength, blocks)
    train = dataset.examples("train")[: options.pictures]
    chosen_by = dataset.examples("dev")[: options.choose_pictures]
    # The features before the last block serve for the decoder alone, too.
    folder = options.run / f"features-{max(1, blocks)}"
    return cache.features(train, folder / "train"), cache.features(chosen_by, folder / "dev")


def _measure(
    options: argparse.Namespace,
    captioner: Captioner,
    card: ModelCard,
    dataset: Dataset,
    students: dict[str, Student],
) -> HardenedCard:
    first, count = options.choose_pictures, options.report_pictures
    examples = dataset.examples("dev")[first:][:count]
    consensus = load_consensus(options.captioner, captioner)
    folder = _trained(options) / f"captions-{first}-{len(examples)}"
    test = RobustnessTest(captioner, students, card.beam, dataset, examples, consensus, folder)
    distinct = test.distinct()
    if distinct["hardened"] < _LEAST_DISTINCT * distinct["plain"]:
        raise ValueError(
            f"training ruined the decoder: only {distinct['hardened']:.0%} of its captions differ, "
            f"{distinct['plain']:.0%} before; give a smaller --learning-rate or --most"
        )
    epsilons, steps = options.epsilon or (0.125, 0.5, 1.0), options.test_steps
    return HardenedCard(
        data=card.data,
        pictures=options.pictures,
        epochs=options.epochs,
        steps=options.steps,
        encoder_blocks=options.encoder_blocks,
        chosen_by=first,
        reported=len(examples),
        cider=test.cider(test.clean),
        distinct=distinct,
        same=test.same(),
        harmless=test.harmless(),
        attacks=tuple(
            test.attack(against, epsilon, steps)
            for epsilon in epsilons
            for against in ("plain", "hardened")
        ),
        lost=tuple(test.lost_words(epsilon, steps) for epsilon in epsilons),
    )


def _trained(options: argparse.Namespace) -> Path:
    """Return the folder of one way of training, with its state and its captions."""
    names = ("encoder_blocks", "pictures", "epochs", "learning_rate", "seed", "choose_pictures")
    return Path(options.run, "-".join(f"{getattr(options, name):g}" for name in names))


def _check(options: argparse.Namespace) -> None:
    if not 0 < options.least <= options.most <= 255:
        raise ValueError("--least and --most must be grey levels with 0 < least <= most <= 255")
    counts = ("pictures", "epochs", "steps", "test_steps", "choose_pictures")
    for name in counts:
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")
    if options.encoder_blocks < 0:
        raise ValueError("--encoder-blocks must be 0 or more")


def _claim_folder(folder: Path, options: argparse.Namespace) -> None:
    """Record what the folder's attacks depend on.

    Raises:
        ValueError: If the folder holds attacks on another captioner or of another strength.
    """
    names = ("data", "least", "most", "steps")
    settings = {name: str(getattr(options, name)) for name in names}
    settings["weights"] = weights_sha256(options.captioner)
    record = folder / "attacks.json"
    if not record.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(settings, indent=2) + "\n")
    elif json.loads(record.read_text()) != settings:
        raise ValueError(
            f"{folder} holds attacks of a run with other settings; give another --run folder"
        )


def _print(card: HardenedCard) -> None:
    """Print what was measured, the captions' changes as a table in Markdown."""
    changed = " | ".join(f"changed, {name}" for name in card.cider)
    cider = " | ".join(f"CIDEr, {name}" for name in card.cider)
    print(f"\n| change | {changed} | {cider} |")
    print("|---" * (1 + 2 * len(card.cider)) + "|")
    print(f"| none |{'  |' * len(card.cider)} {_scores(card.cider)} |")
    for row in (*card.harmless, *card.attacks):
        what = f"{row.epsilon:g} grey levels, against {row.attacked}" if row.epsilon else row.change
        changes = " | ".join(map(_share, row.changed.values()))
        print(f"| {what} | {changes} | {_scores(row.cider)} |")
    same = ", ".join(f"{_share(value)} {name}" for name, value in card.same.items())
    print(f"\ncaptions of clean images that are the plain model's: {same}")
    for row in card.attacks:
        if row.attacked == "plain":
            print(
                f"epsilon {row.epsilon:g}, rounded to 8 bits: {_share(row.rounded['plain'])} of "
                "the plain model's captions change"
            )
    for lost in card.lost:
        print(
            f"words, epsilon {lost.epsilon:g} against plain: {lost.lost} of {lost.words} lost; "
            f"kept {lost.kept_hardened} by hardened, {lost.kept_control} by control; only by "
            f"hardened {lost.fragile}, only by control {lost.reverse}"
        )


def _scores(scores: Shares) -> str:
    return " | ".join(f"{value:.3f}" for value in scores.values())


def _share(share: float) -> str:
    return f"{100 * share:.0f} %"


if __name__ == "__main__":
    sys.exit(main())
