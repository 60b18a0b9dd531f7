"""Train a captioner: `python -m models.train --data DIR`.

The encoder is frozen, so its grids are computed once; then the decoder is trained on them. A run
that was stopped goes on from its last epoch when it is started again.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
from numpy.typing import NDArray

from models.captioner import Captioner, CaptionerConfig
from models.curve import draw_curve
from models.datasets import Dataset, DatasetError, Example, open_dataset
from models.decoder import DecoderConfig
from models.evaluate import Searcher, caption_grids
from models.grids import cached_grids
from models.metrics import score
from models.pretrained import load_imagenet_weights
from models.release import Card, save
from models.training import Batches, CaptionLoss, Checkpoint, MovingAverage
from models.training_config import TrainingConfig
from models.vocabulary import Vocabulary

_CONFIG = Path(__file__).parent / "configs" / "lite2-flickr8k.toml"


class Run:
    """One training run and its folder: grids, checkpoint, curve and the best captioner."""

    def __init__(self, config: TrainingConfig, dataset: Dataset, folder: Path) -> None:
        """Prepare everything up to the first batch.

        Raises:
            RuntimeError: If the encoder's published weights are not installed.
            ValueError: If the folder holds another run, or the configuration fits no captioner.
        """
        keras.utils.set_random_seed(config.seed)
        self.config, self.folder = config, folder
        self.train = [e for split in config.train_splits for e in dataset.examples(split)]
        self.dev = dataset.examples(config.dev_split)
        self.vocabulary = Vocabulary.count(
            (text for example in self.train for text in example.captions), config.minimum_count
        )
        self.captioner = Captioner(_captioner_config(config, len(self.vocabulary)), self.vocabulary)
        self._encode(dataset)
        self._compile()

    def _encode(self, dataset: Dataset) -> None:
        encoder = self.captioner.encoder
        if self.config.pretrained:
            load_imagenet_weights(encoder)
        self._claim_folder()
        encoder.compile(jit_compile=False)

        def grids(name: str, examples: list[Example], mirrored: bool = False) -> NDArray[Any]:
            path = self.folder / f"grids-{name}.npy"
            return cached_grids(path, encoder, dataset, examples, mirrored=mirrored)

        self._dev_grids = grids("dev", self.dev)
        self._grids = grids("train", self.train)
        self._mirrored = (
            grids("train-mirrored", self.train, mirrored=True) if self.config.mirrored else None
        )

    def _claim_folder(self) -> None:
        """Note what the folder's grids and checkpoint are made of; refuse those of another run."""
        path = self.folder / "run.json"
        examples = json.dumps([asdict(example) for example in (*self.train, *self.dev)])
        run = json.loads(json.dumps(asdict(self.config)))
        # A run may be made longer, and what its card says makes no other run of it.
        for free in ("epochs", "data", "licence"):
            del run[free]
        run["data set"] = hashlib.sha256(examples.encode()).hexdigest()
        if not path.exists():
            path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        held = json.loads(path.read_text(encoding="utf-8"))
        if other := [name for name in run if held.get(name) != run[name]]:
            raise ValueError(
                f"{self.folder} holds a run with another {', '.join(other)}: "
                "give this one a folder of its own with --run, or delete that one"
            )

    def _compile(self) -> None:
        config, decoder = self.config, self.captioner.decoder
        steps = -(-len(self.train) // config.batch)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, steps * (config.epochs - 1)),
            warmup_target=config.learning_rate,
            warmup_steps=steps,
        )
        optimizer = keras.optimizers.AdamW(
            rate, weight_decay=config.weight_decay, beta_2=0.98, global_clipnorm=5.0
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        decoder.compile(optimizer, CaptionLoss(config.label_smoothing), jit_compile=False)
        self._searcher = Searcher(decoder, config.beam)

    def fit(self) -> None:
        """Train to the last epoch, keeping the captioner that is best on the dev split."""
        average = MovingAverage(self.config.average)
        checkpoint = Checkpoint(self.folder / "checkpoint.npz")
        history = checkpoint.restore(self.captioner.decoder, average)
        if history:
            print(f"resuming after epoch {len(history)}")
        batches = Batches(self._grids, self._mirrored, self.train, self.vocabulary, self.config)
        for epoch in range(len(history), self.config.epochs):
            print(f"epoch {epoch + 1} of {self.config.epochs}")
            batches.begin(epoch)
            fitted = self.captioner.decoder.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                callbacks=[average],
                verbose=1 if sys.stdout.isatty() else 2,
            )
            figures = self._evaluate(average, best=max((h["cider"] for h in history), default=-1.0))
            history.append({"loss": float(fitted.history["loss"][0]), **figures})
            checkpoint.save(self.captioner.decoder, average, history)
            draw_curve(self.folder / "curve.png", history)

    def _evaluate(self, average: MovingAverage, best: float) -> dict[str, float]:
        """Score the averaged weights, and keep them when they are the best so far."""
        decoder = self.captioner.decoder
        raw = decoder.get_weights()
        decoder.set_weights(average.weights)
        said = caption_grids(self.captioner, self._searcher, self._dev_grids)
        figures = asdict(
            score(
                dict(zip((example.name for example in self.dev), said, strict=True)),
                {example.name: example.captions for example in self.dev},
            )
        )
        print("  ".join(f"dev {name} {value:.3f}" for name, value in figures.items()), flush=True)
        if figures["cider"] > best:
            self._release(figures)
        decoder.set_weights(raw)
        return figures

    def _release(self, figures: dict[str, float]) -> None:
        card = Card(
            name=self.config.name,
            data=self.config.data or f"{len(self.train)} captioned photographs",
            licence=self.config.licence,
            figures={name: round(value, 4) for name, value in figures.items()},
            beam=self.config.beam,
        )
        save(self.folder / "captioner", self.captioner, card)


def _captioner_config(config: TrainingConfig, words: int) -> CaptionerConfig:
    return CaptionerConfig(
        encoder=config.encoder,
        image_size=config.image_size,
        decoder=DecoderConfig(
            vocabulary_size=words,
            width=config.width,
            embedding=config.embedding,
            heads=config.heads,
            embedding_dropout=config.embedding_dropout,
            grid_dropout=config.grid_dropout,
            output_dropout=config.output_dropout,
        ),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.train", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--config", type=Path, default=_CONFIG, help="TOML file of the run")
    parser.add_argument("--run", type=Path, help="folder of the run (default: runs/NAME)")
    options = parser.parse_args(arguments)
    try:
        config = TrainingConfig.read(options.config)
        folder = options.run or Path("runs") / config.name
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(config, open_dataset(options.data), folder)
    except (DatasetError, OSError, RuntimeError, ValueError) as problem:
        print(f"train: {problem}", file=sys.stderr)
        return 2
    run.fit()
    print(f"the best captioner is in {folder / 'captioner'}; the curve in {folder / 'curve.png'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
