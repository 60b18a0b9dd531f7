"""Harden a captioner's decoder against attacks.

    python -m models.harden --data DIR --run DIR

Images of the training split are attacked so that the captioner's own captions become improbable
(L-inf, PGD, with strengths drawn from a range). A copy of the decoder learns to give the same
captions nevertheless; the encoder is not changed. The result is written into the captioner's folder
(hardened.npz), with the share of captions that an attack on the development split changes for
either decoder, and their CIDEr, clean and attacked. The run's folder caches the attacked images, so
a stopped run resumes where it stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from models.checkpoint import DEFAULT_CHECKPOINT, CheckpointError, load
from models.consensus import load_consensus
from models.datasets import DatasetError, open_dataset
from models.digests import weights_sha256
from models.hardening import HardenedCard, copy_decoder, save_hardened
from models.hardening.caption_attack import AttackStrength, GridAttacker, RobustnessTest
from models.hardening.training import harden

_DEV_IMAGES = 300
"""Images by which the best epoch is chosen."""


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
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="folder of the dataset"
    )
    parser.add_argument(
        "--captioner",
        type=Path,
        default=DEFAULT_CHECKPOINT,
        metavar="DIR",
        help="folder of the captioner (default: the shipped one)",
    )
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder of the run")
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
        "--epsilon", type=float, action="append", help="repeatable (default: 0.125 and 0.5)"
    )
    measure.add_argument("--test-steps", type=int, default=4, help="PGD steps (default: 4)")
    measure.add_argument("--dev-pictures", type=int, help="images (default: all of dev)")
    return parser


def _run(options: argparse.Namespace) -> tuple[Path, HardenedCard]:
    _check(options)
    keras.utils.set_random_seed(options.seed)
    keras.config.disable_interactive_logging()
    dataset = open_dataset(options.data)
    captioner, card = load(options.captioner)
    consensus = load_consensus(options.captioner, captioner)
    strength = AttackStrength(options.least, options.most, options.steps)
    _claim_folder(options.run, options)
    attacker = GridAttacker(captioner, dataset, card.beam, strength)
    train, dev = (
        attacker.attacked_grids(examples, options.run / split)
        for split, examples in (
            ("train", dataset.examples("train")[: options.pictures]),
            ("dev", dataset.examples("dev")[:_DEV_IMAGES]),
        )
    )
    hardened = copy_decoder(captioner)
    history = harden(
        captioner.decoder, hardened, train, dev, options.epochs, options.learning_rate, options.seed
    )
    (options.run / "history.json").write_text(json.dumps(history, indent=2) + "\n")
    examples = dataset.examples("dev")[: options.dev_pictures]
    test = RobustnessTest(captioner, hardened, card.beam, dataset, examples, consensus)
    plain, other = test.clean["plain"], test.clean["hardened"]
    hardened_card = HardenedCard(
        data=card.data,
        pictures=len(train.captions),
        steps=options.steps,
        cider_plain=test.cider(plain),
        cider_hardened=test.cider(other),
        same_clean=sum(plain[name] == other[name] for name in plain) / len(plain),
        robustness=tuple(
            test.attack(against, epsilon, options.test_steps)
            for epsilon in options.epsilon or (0.125, 0.5)
            for against in ("plain", "hardened")
        ),
    )
    path = save_hardened(options.captioner, captioner, hardened, hardened_card)
    return path, hardened_card


def _check(options: argparse.Namespace) -> None:
    if not 0 < options.least <= options.most <= 255:
        raise ValueError("--least and --most must be grey levels with 0 < least <= most <= 255")
    counts = ("pictures", "epochs", "steps", "test_steps")
    for name in counts:
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")


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
    same = f"{card.same_clean:.0%} the same"
    print(f"clean: CIDEr {card.cider_plain:.3f} plain, {card.cider_hardened:.3f} hardened, {same}")
    for row in card.robustness:
        print(
            f"epsilon {row.epsilon:g} against the {row.attacked} decoder: "
            f"changed {row.changed_plain:.0%} plain, {row.changed_hardened:.0%} hardened; "
            f"CIDEr {row.cider_plain:.3f} plain, {row.cider_hardened:.3f} hardened"
        )


if __name__ == "__main__":
    sys.exit(main())
