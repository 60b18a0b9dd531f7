"""The picture of a training run."""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from models.captioner import Captioner, CaptionerConfig, DecoderConfig
from models.checkpoint import Card, load, save
from models.datasets import Dataset, Example
from models.encoders import load_pretrained, make_encoder, own_image_size
from models.evaluation import Searcher, caption_grids, score
from models.language import Vocabulary, describe
from models.training.batches import Batches, TrainingSet
from models.training.config import TrainingConfig
from models.training.feature_cache import Features, cached_features, derived_features
from models.training.glove import load_glove
from models.training.learner import Learner, split_encoder, tune_pointwise, use_precision
from models.training.optimization import CaptionLoss, Checkpoint, MovingAverage, SlowerFor
from models.training.self_critical import SelfCriticalBatches


def draw_curve(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Draw the loss and the dev figures of each epoch into a PNG file.

    Args:
        path: The file, replaced.
        history: One mapping an epoch, with `loss` (nats per word) and `cider`, `bleu_4`.
    """
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = range(1, len(history) + 1)
    loss_axes = figure.subplots()
    loss_axes.plot(epochs, [epoch["loss"] for epoch in history], "o-", color="#666666")
    loss_axes.set_xlabel("epoch")
    loss_axes.set_ylabel("training loss, nats per word (grey)")
    dev_axes = loss_axes.twinx()
    for name, colour in (("cider", "#0b6e4f"), ("bleu_4", "#c05a00")):
        dev_axes.plot(epochs, [epoch[name] for epoch in history], "o-", color=colour, label=name)
    dev_axes.set_ylabel("dev score")
    dev_axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)


class Run:
    """One training run and its folder: checkpoint, curve and the best captioner."""

    def __init__(self, config: TrainingConfig, dataset: Dataset, folder: Path) -> None:
        """Prepare everything up to the first batch.

        Raises:
            OSError: If a file of weights or word vectors cannot be read.
            RuntimeError: If the encoder's published weights are not installed.
            ValueError: If the folder holds another run, the configuration fits no captioner, or
                there is no run to start from.
        """
        keras.utils.set_random_seed(config.seed)
        self.config, self.folder = config, folder
        self.train = [e for split in config.train_splits for e in dataset.examples(split)]
        self.dev = dataset.examples(config.dev_split)
        self.texts = dataset.texts if config.texts else ()
        self.captioner = self._started() if config.start else self._new()
        stem, tail = split_encoder(self.captioner.encoder, config.cut)
        tune_pointwise(self.captioner.encoder, tuned=config.encoder_rate > 0)
        self.learner = Learner(
            self.captioner.decoder, tail, self.captioner.classifier, config.keep_classes
        )
        use_precision(self.learner, config.precision)
        self._claim_folder()
        self._prepare(dataset, stem)
        self._compile()

    def _new(self) -> Captioner:
        captions = (text for example in self.train for text in example.captions)
        vocabulary = Vocabulary.count(chain(captions, self.texts), self.config.minimum_count)
        captioner = Captioner(_captioner_config(self.config, len(vocabulary)), vocabulary)
        load_pretrained(captioner.encoder, captioner.classifier, self.config.pretrained)
        if self.config.glove:
            found = load_glove(captioner.decoder, vocabulary, Path(self.config.glove))
            source = self.config.glove
            print(f"{found} of {len(vocabulary)} words begin with the vectors of {source}")
        return captioner

    def _started(self) -> Captioner:
        """Take over the weights of another run; this one's dropout may differ."""
        folder = self.folder.parent / self.config.start / "captioner"
        before, _ = load(folder)
        words = len(before.vocabulary)
        captioner = Captioner(_captioner_config(self.config, words), before.vocabulary)
        try:
            captioner.set_weights(before.get_weights())
        except ValueError as problem:
            raise ValueError(
                f"{folder} holds a captioner of another shape than this run's: {problem}"
            ) from problem
        return captioner

    def _claim_folder(self) -> None:
        """Note what the folder's checkpoint is made of; refuse that of another run."""
        path = self.folder / "run.json"
        run = json.loads(json.dumps(asdict(self.config)))
        # A run may be made longer, and what its card says makes no other run of it.
        for free in ("epochs", "data", "licence"):
            del run[free]
        run["data set"] = _digest((*self.train, *self.dev))
        if not path.exists():
            path.write_text(json.dumps(run, indent=2) + "\n", encoding="utf-8")
        held = json.loads(path.read_text(encoding="utf-8"))
        if other := [name for name in run if held.get(name) != run[name]]:
            raise ValueError(
                f"{self.folder} holds a run with another {', '.join(other)}: "
                "give this one a folder of its own with --run, or delete that one"
            )

    def _prepare(self, dataset: Dataset, stem: keras.Model) -> None:
        """Compute the features of all pictures, or find them beside the runs."""
        stem.compile(jit_compile=False)

        def features(examples: list[Example], views: int) -> Features:
            path = self._cache("features", stem, _digest(examples), str(views))
            return cached_features(path, stem, dataset, examples, views)

        self._dev_features = features(self.dev, views=1)
        shown = features(self.train, self.config.views)
        self._data = TrainingSet(self.train, shown, self._pooled(shown), self.texts)

    def _pooled(self, shown: Features) -> Features | None:
        if not self.config.keep_classes:
            return None
        encoder = make_encoder(self.config.encoder, self.captioner.config.image_size)
        load_pretrained(encoder, None, self.config.pretrained)
        tail = split_encoder(encoder, self.config.cut)[1] or encoder
        pooled = keras.layers.GlobalAveragePooling2D()(tail.output)
        network = keras.Model(tail.input, pooled)
        network.compile(jit_compile=False)
        path = self._cache("pooled", encoder, _digest(self.train), str(self.config.views))
        return derived_features(path, network, shown)

    def _cache(self, kind: str, network: keras.Model, *parts: str) -> Path:
        """Where the features of a network are kept, for all runs beside this one."""
        digest = hashlib.sha256(" ".join((*parts, self.config.cut)).encode())
        for weight in network.get_weights():
            # As they are released, so that a run finds what the run that it starts from has made.
            digest.update(weight.astype(np.float16).tobytes())
        return self.folder.parent / "features" / f"{kind}-{digest.hexdigest()[:16]}.npy"

    def _compile(self) -> None:
        config, learner = self.config, self.learner
        steps = -(-len(self.train) // config.batch)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, steps * (config.epochs - 1)),
            warmup_target=config.learning_rate,
            warmup_steps=steps,
        )
        optimizer = SlowerFor(
            self.captioner.encoder.trainable_variables,
            config.encoder_rate,
            learning_rate=rate,
            weight_decay=config.weight_decay,
            beta_2=0.98,
            global_clipnorm=5.0,
        )
        learner.compile(optimizer, CaptionLoss(config.label_smoothing), jit_compile=False)
        self._searcher = Searcher(learner.decoder, config.beam)

    def fit(self) -> None:
        """Train to the last epoch, keeping the captioner that is best on the dev split."""
        average = MovingAverage(self.config.average)
        batches = self._batches()
        checkpoint = Checkpoint(self.folder / "checkpoint.npz")
        self.learner(batches.batch(0).inputs)  # Keras knows the weights of a model that was called.
        history = checkpoint.restore(self.learner, average)
        if history:
            print(f"resuming after epoch {len(history)}")
        elif self.config.start:
            self._try()
        for epoch in range(len(history), self.config.epochs):
            print(f"epoch {epoch + 1} of {self.config.epochs}")
            batches.begin(epoch)
            fitted = self.learner.fit(
                batches,
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                callbacks=[average],
                verbose=1 if sys.stdout.isatty() else 2,
            )
            figures = self._evaluate(average, best=max((h["cider"] for h in history), default=-1.0))
            history.append({"loss": float(fitted.history["loss"][0]), **figures})
            if isinstance(batches, SelfCriticalBatches):
                print(f"mean reward {batches.take_reward():.3f}", flush=True)
            checkpoint.save(self.learner, average, history)
            draw_curve(self.folder / "curve.png", history)

    def _batches(self) -> Batches:
        if self.config.objective == "self-critical":
            return SelfCriticalBatches(
                self._data, self.captioner.vocabulary, self.config, self.learner
            )
        return Batches(self._data, self.captioner.vocabulary, self.config)

    def _evaluate(self, average: MovingAverage, best: float) -> dict[str, float]:
        """Score the averaged weights, and keep them when they are the best so far."""
        with average.swapped_in():
            figures = self._try()
            if figures["cider"] > best:
                self._release(figures)
        return figures

    def _try(self) -> dict[str, float]:
        """Score the weights as they are on the dev split."""
        features = np.asarray(self._dev_features[:, 0], np.float32)
        tail = self.learner.tail
        grids = features if tail is None else _apply(tail, features)
        said = caption_grids(self.captioner, self._searcher, grids)
        scores = score(
            dict(zip((example.name for example in self.dev), said, strict=True)),
            {example.name: example.captions for example in self.dev},
        )
        figures = asdict(scores) | asdict(describe(said))
        print(
            "dev", "  ".join(f"{name} {value:.3f}" for name, value in figures.items()), flush=True
        )
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


def _apply(network: keras.Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
    network.compile(jit_compile=False)
    return np.asarray(network.predict(features, batch_size=32, verbose=0), np.float32)


def _digest(examples: Sequence[Example]) -> str:
    text = json.dumps([asdict(example) for example in examples])
    return hashlib.sha256(text.encode()).hexdigest()


def _captioner_config(config: TrainingConfig, words: int) -> CaptionerConfig:
    return CaptionerConfig(
        encoder=config.encoder,
        image_size=config.image_size or own_image_size(config.encoder),
        classes=config.classes,
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
