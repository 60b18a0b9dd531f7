"""Harden a captioner's decoder against attacks: `python -m models.harden --data DIR --run DIR`.

Pictures of the training split are attacked so that the captioner would not say what it says of
them (L-inf, PGD, at strengths drawn from a range), and a copy of the decoder learns to say it all
the same, the encoder as it is: see `models.hardening.training`. What it differs by is written
beside the
captioner (`hardened.npz`), with how often an attack on the pictures of the development split
changes what either decoder says, and their CIDEr, clean and attacked. The run's folder keeps what
was computed: a stopped run goes on where it was.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import keras

from models.checkpoint import DEFAULT, ReleaseError, load
from models.datasets import DatasetError, open_dataset
from models.digests import weights_sha256
from models.hardening import HardenedCard, copy_decoder, save_hardened
from models.hardening.attacked_grids import Strength, attacked_grids
from models.hardening.robustness import Contest
from models.hardening.training import harden

_DEV_PICTURES = 300
"""By which the epoch is chosen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        path, card = _run(options)
    except (DatasetError, ReleaseError, OSError, ValueError) as problem:
        print(f"harden: {problem}", file=sys.stderr)
        return 2
    _print(card)
    print(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.harden", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--captioner", type=Path, default=DEFAULT, help="folder of the captioner")
    parser.add_argument("--run", type=Path, required=True, help="folder for what is computed")
    parser.add_argument("--pictures", type=int, default=4000, help="to train on (default: 4000)")
    parser.add_argument("--epochs", type=int, default=8, help="at most (default: 8)")
    parser.add_argument("--learning-rate", type=float, default=3e-4, help="default: 0.0003")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    strength = parser.add_argument_group("attacks, in grey levels of 0..255")
    strength.add_argument("--least", type=float, default=0.05, help="default: 0.05")
    strength.add_argument("--most", type=float, default=1.0, help="default: 1")
    strength.add_argument("--steps", type=int, default=2, help="of PGD in training (default: 2)")
    measure = parser.add_argument_group("measurement")
    measure.add_argument(
        "--epsilon", type=float, action="append", help="repeatable (default: 0.125 and 0.5)"
    )
    measure.add_argument("--test-steps", type=int, default=4, help="of PGD (default: 4)")
    measure.add_argument("--dev-pictures", type=int, help="to measure on (default: all of dev)")
    return parser


def _run(options: argparse.Namespace) -> tuple[Path, HardenedCard]:
    _check(options)
    keras.utils.set_random_seed(options.seed)
    keras.config.disable_interactive_logging()
    dataset = open_dataset(options.data)
    captioner, card = load(options.captioner)
    strength = Strength(options.least, options.most, options.steps)
    _claim(options.run, options)
    train, dev = (
        attacked_grids(captioner, dataset, examples, card.beam, strength, options.run / split)
        for split, examples in (
            ("train", dataset.examples("train")[: options.pictures]),
            ("dev", dataset.examples("dev")[:_DEV_PICTURES]),
        )
    )
    hardened = copy_decoder(captioner)
    history = harden(
        captioner.decoder, hardened, train, dev, options.epochs, options.learning_rate, options.seed
    )
    (options.run / "history.json").write_text(json.dumps(history, indent=2) + "\n")
    examples = dataset.examples("dev")[: options.dev_pictures]
    contest = Contest(captioner, hardened, card.beam, dataset, examples)
    plain, other = contest.clean["plain"], contest.clean["hardened"]
    told = HardenedCard(
        data=card.data,
        pictures=len(train.captions),
        steps=options.steps,
        cider_plain=contest.cider(plain),
        cider_hardened=contest.cider(other),
        same_clean=sum(plain[name] == other[name] for name in plain) / len(plain),
        robustness=tuple(
            contest.attack(against, epsilon, options.test_steps)
            for epsilon in options.epsilon or (0.125, 0.5)
            for against in ("plain", "hardened")
        ),
    )
    return save_hardened(options.captioner, captioner, hardened, told), told


def _check(options: argparse.Namespace) -> None:
    if not 0 < options.least <= options.most <= 255:
        raise ValueError("--least and --most must be grey levels, 0 < least <= most <= 255")
    counts = ("pictures", "epochs", "steps", "test_steps")
    for name in counts:
        if getattr(options, name) < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be 1 or more")


def _claim(folder: Path, options: argparse.Namespace) -> None:
    """Note what the folder's attacks belong to; refuse one of another run.

    Raises:
        ValueError: If the folder holds attacks of another captioner or strength.
    """
    names = ("data", "least", "most", "steps")
    mine = {name: str(getattr(options, name)) for name in names}
    mine["weights"] = weights_sha256(options.captioner)
    note = folder / "attacks.json"
    if not note.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(mine, indent=2) + "\n")
    elif json.loads(note.read_text()) != mine:
        raise ValueError(f"{folder} holds the attacks of another run; give another --run")


def _print(card: HardenedCard) -> None:
    same = f"{card.same_clean:.0%} said alike"
    print(f"clean: CIDEr {card.cider_plain:.3f} plain, {card.cider_hardened:.3f} hardened, {same}")
    for row in card.robustness:
        print(
            f"epsilon {row.epsilon:g} against the {row.attacked} decoder: "
            f"changed {row.changed_plain:.0%} plain, {row.changed_hardened:.0%} hardened; "
            f"CIDEr {row.cider_plain:.3f} plain, {row.cider_hardened:.3f} hardened"
        )


if __name__ == "__main__":
    sys.exit(main())
