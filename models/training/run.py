"""A training run and its folder."""

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
from models.checkpoint import ModelCard, load, save
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, Example
from models.encoders import load_pretrained, make_encoder, own_image_size
from models.language import Vocabulary, language_statistics
from models.metrics import caption_grids, score
from models.training.config import TrainingConfig
from models.training.data import (
    Batches,
    Features,
    TrainingSet,
    cached_features,
    derived_features,
)
from models.training.glove import load_glove
from models.training.model import (
    CaptionLoss,
    MovingAverage,
    TrainingModel,
    TrainingState,
    TwoRateAdamW,
    set_pointwise_trainable,
    set_precision,
    split_encoder,
)
from models.training.self_critical import SelfCriticalBatches


class Run:
    """A training run and its folder: saved state, learning curve and the best captioner."""

    def __init__(self, config: TrainingConfig, dataset: Dataset, folder: Path) -> None:
        """Prepare the run: build the captioner and compute the features.

        Raises:
            OSError: If a file of weights or word vectors cannot be read.
            RuntimeError: If the encoder's published weights are not installed.
            ValueError: If the folder holds another run, the configuration is not valid for a
                captioner, or there is no run to start from.
        """
        keras.utils.set_random_seed(config.seed)
        self.config, self.folder = config, folder
        self.train = [
            example
            for split in config.train_splits
            for example in dataset.examples(split)
            if len(example.captions) >= config.minimum_captions
        ]
        self.dev = dataset.examples(config.dev_split)
        self._dev_parts = [dataset.part(example.name) for example in self.dev]
        self.texts = dataset.texts if config.texts else ()
        self.captioner = self._load_start() if config.start else self._build_captioner()
        stem, tail = split_encoder(self.captioner.encoder, config.cut)
        set_pointwise_trainable(self.captioner.encoder, trainable=config.encoder_rate > 0)
        self.model = TrainingModel(
            self.captioner.decoder, tail, self.captioner.classifier, config.keep_classes
        )
        set_precision(self.model, config.precision)
        self._claim_folder()
        self._prepare(dataset, stem)
        self._compile()

    def _build_captioner(self) -> Captioner:
        captions = (text for example in self.train for text in example.captions)
        vocabulary = Vocabulary.count(chain(captions, self.texts), self.config.minimum_count)
        captioner = Captioner(_captioner_config(self.config, len(vocabulary)), vocabulary)
        load_pretrained(captioner.encoder, captioner.classifier, self.config.pretrained)
        if self.config.glove:
            found = load_glove(captioner.decoder, vocabulary, Path(self.config.glove))
            source = self.config.glove
            print(f"{found} of {len(vocabulary)} words initialised from {source}")
        return captioner

    def _load_start(self) -> Captioner:
        """Load the weights of another run. This run's dropout may differ."""
        folder = self.folder.parent / self.config.start / "captioner"
        start, _ = load(folder)
        words = len(start.vocabulary)
        captioner = Captioner(_captioner_config(self.config, words), start.vocabulary)
        try:
            captioner.set_weights(start.get_weights())
        except ValueError as problem:
            raise ValueError(
                f"the captioner in {folder} has another architecture than this run: {problem}"
            ) from problem
        return captioner

    def _claim_folder(self) -> None:
        """Record what the saved state depends on; refuse the folder of another run."""
        path = self.folder / "run.json"
        settings = json.loads(json.dumps(asdict(self.config)))
        # A run may be extended, and the texts of its model card may change.
        for free in ("epochs", "data", "licence"):
            del settings[free]
        settings["dataset"] = _digest((*self.train, *self.dev))
        if not path.exists():
            path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        recorded = json.loads(path.read_text(encoding="utf-8"))
        if different := [name for name in settings if recorded.get(name) != settings[name]]:
            raise ValueError(
                f"{self.folder} holds a run with another {', '.join(different)}; "
                "choose another folder with --run, or delete this one"
            )

    def _prepare(self, dataset: Dataset, stem: keras.Model) -> None:
        """Compute the features of all images, or load them from the cache beside the runs."""
        stem.compile(jit_compile=False)

        def features(examples: list[Example], views: int) -> Features:
            path = self._cache_path("features", stem, _digest(examples), str(views))
            return cached_features(path, stem, dataset, examples, views)

        self._dev_features = features(self.dev, views=1)
        train_features = features(self.train, self.config.views)
        pooled = self._pooled(train_features)
        self._data = TrainingSet(self.train, train_features, pooled, self.texts)

    def _pooled(self, train_features: Features) -> Features | None:
        if not self.config.keep_classes:
            return None
        encoder = make_encoder(self.config.encoder, self.captioner.config.image_size)
        load_pretrained(encoder, None, self.config.pretrained)
        tail = split_encoder(encoder, self.config.cut)[1] or encoder
        pooled = keras.layers.GlobalAveragePooling2D()(tail.output)
        network = keras.Model(tail.input, pooled)
        network.compile(jit_compile=False)
        path = self._cache_path("pooled", encoder, _digest(self.train), str(self.config.views))
        return derived_features(path, network, train_features)

    def _cache_path(self, kind: str, network: keras.Model, *parts: str) -> Path:
        """Return the path of a network's features, which all runs beside this one share."""
        digest = hashlib.sha256(" ".join((*parts, self.config.cut)).encode())
        for weight in network.get_weights():
            # In a checkpoint's precision, so that a run reuses the cache of the run it starts from.
            digest.update(weight.astype(np.float16).tobytes())
        return self.folder.parent / "features" / f"{kind}-{digest.hexdigest()[:16]}.npy"

    def _compile(self) -> None:
        config, model = self.config, self.model
        steps = -(-len(self.train) // config.batch)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0,
            decay_steps=max(1, steps * (config.epochs - 1)),
            warmup_target=config.learning_rate,
            warmup_steps=steps,
        )
        optimizer = TwoRateAdamW(
            self.captioner.encoder.trainable_variables,
            config.encoder_rate,
            learning_rate=rate,
            weight_decay=config.weight_decay,
            beta_2=0.98,
            global_clipnorm=5.0,
        )
        model.compile(optimizer, CaptionLoss(config.label_smoothing), jit_compile=False)
        self._search = CaptionSearch(model.decoder, config.beam)

    def fit(self) -> None:
        """Train up to the last epoch and save the captioner that is best on the dev split."""
        average = MovingAverage(self.config.average)
        batches = self._batches()
        state = TrainingState(self.folder / "training-state.npz")
        self.model.create_variables(batches.batch(0).inputs)
        history = state.restore(self.model, average)
        if history:
            print(f"resuming after epoch {len(history)}")
        elif self.config.start:
            self._score()
        for epoch in range(len(history), self.config.epochs):
            print(f"epoch {epoch + 1} of {self.config.epochs}")
            batches.start_epoch(epoch)
            fitted = self.model.fit(
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
            state.save(self.model, average, history)
            draw_curve(self.folder / "curve.png", history)

    def _batches(self) -> Batches:
        if self.config.objective == "self-critical":
            return SelfCriticalBatches(
                self._data, self.captioner.vocabulary, self.config, self.model
            )
        return Batches(self._data, self.captioner.vocabulary, self.config)

    def _evaluate(self, average: MovingAverage, best: float) -> dict[str, float]:
        """Score the averaged weights, and save them if they are the best so far."""
        with average.swapped_in():
            figures = self._score()
            if figures["cider"] > best:
                self._save(figures)
        return figures

    def _score(self) -> dict[str, float]:
        """Score the current weights on the dev split: the mean over the datasets that have one."""
        features = np.asarray(self._dev_features[:, 0], np.float32)
        tail = self.model.tail
        grids = features if tail is None else _predict(tail, features)
        captions = caption_grids(self.captioner, self._search, grids)
        parts = [self._score_part(part, captions) for part in sorted(set(self._dev_parts))]
        return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}

    def _score_part(self, part: int, captions: Sequence[str]) -> dict[str, float]:
        """Score the captions of the dev images of one dataset."""
        chosen = [index for index, other in enumerate(self._dev_parts) if other == part]
        scores = score(
            {self.dev[index].name: captions[index] for index in chosen},
            {self.dev[index].name: self.dev[index].captions for index in chosen},
        )
        language = language_statistics([captions[index] for index in chosen])
        figures = asdict(scores) | asdict(language)
        text = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"dev of dataset {part + 1}  {text}", flush=True)
        return figures

    def _save(self, figures: dict[str, float]) -> None:
        card = ModelCard(
            name=self.config.name,
            data=self.config.data or f"{len(self.train)} captioned images",
            licence=self.config.licence,
            figures={name: round(value, 4) for name, value in figures.items()},
            beam=self.config.beam,
        )
        save(self.folder / "captioner", self.captioner, card)


def draw_curve(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Plot the loss and the dev scores of each epoch as a PNG file.

    Args:
        path: The file, which is replaced.
        history: For each epoch `loss` (nats per word), `cider` and `bleu_4`.
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


def _predict(network: keras.Model, features: NDArray[np.float32]) -> NDArray[np.float32]:
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
