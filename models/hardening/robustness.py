"""The captions of the plain, the hardened and the control model on changed images."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.captioner import BeamConfig, Captioner
from models.consensus import Consensus
from models.consensus.search import CaptionSearch
from models.datasets import Dataset, Example
from models.hardening.caption_attack import CaptionAttack
from models.hardening.card import Effect, LostWords, Shares
from models.hardening.features import BATCH, Forward, load_pixels
from models.hardening.harmless import HARMLESS
from models.hardening.student import Student
from models.language import diff_words, kept_places, sentence
from models.metrics import score

Captions = dict[str, str]
"""Captions by image name."""

Pixels = NDArray[np.float32]

_HALF_LEVEL = 0.5
"""Grey levels: smaller changes are lost when an image is stored in whole ones."""


class RobustnessTest:
    """Compares models on clean and changed images of a dataset.

    All captions are kept in a folder, so that an interrupted test goes on where it stopped.
    """

    def __init__(
        self,
        captioner: Captioner,
        students: Mapping[str, Student],
        beam: BeamConfig,
        dataset: Dataset,
        examples: Sequence[Example],
        consensus: Consensus | None,
        folder: Path,
    ) -> None:
        """Caption the clean images with all models.

        Args:
            captioner: The plain model.
            students: The others, by name.
            beam: The parameters of the beam search.
            dataset: The dataset of the images.
            examples: Images to measure on, with their captions.
            consensus: Chooses among the beam's captions, if there is one.
            folder: Keeps the captions; to be used with the same arguments only.
        """
        models = {"plain": Student(captioner, 0), **students}
        blocks = max(each.blocks for each in models.values())
        models["plain"] = Student(captioner, blocks)
        self._models = models
        self._head = Forward(models["plain"].head)
        self._tails = {name: Forward(each.tail) for name, each in models.items()}
        self._searches = {
            name: CaptionSearch(each.decoder, beam, consensus) for name, each in models.items()
        }
        self._attacks = {
            name: CaptionAttack(each.encoder, each.decoder) for name, each in models.items()
        }
        self._vocabulary, self._side = captioner.vocabulary, captioner.config.image_size
        self._dataset, self._examples, self._folder = dataset, examples, folder
        self._references = {example.name: example.captions for example in examples}
        folder.mkdir(parents=True, exist_ok=True)
        (self.clean,) = self._captions("clean", lambda pixels: [pixels])
        """Captions of the clean images, by model."""

    def cider(self, captions: Mapping[str, Captions]) -> Shares:
        """Return the CIDEr of each model's captions against the reference captions."""
        return {name: score(each, self._references).cider for name, each in captions.items()}

    def distinct(self) -> Shares:
        """Return each model's different captions of the clean images as a share of all."""
        return {name: len(set(each.values())) / len(each) for name, each in self.clean.items()}

    def same(self) -> Shares:
        """Return the share of the clean images that each model captions as the plain one does."""
        plain = self.clean["plain"]
        return {name: 1 - _changed(plain, each) for name, each in self.clean.items()}

    def harmless(self) -> tuple[Effect, ...]:
        """Change every image in each harmless way, and caption the results."""
        effects = []
        for name in HARMLESS:
            random = np.random.default_rng(0)
            (captions,) = self._captions(name, partial(_change_all, name, random))
            effects.append(Effect(name, self._changed(captions), self.cider(captions)))
        return tuple(effects)

    def attack(self, against: str, epsilon: float, steps: int) -> Effect:
        """Attack every image through one model, and caption the result with all."""
        captions, *rounded = self._attacked(against, epsilon, steps)
        changed, cider = self._changed(captions), self.cider(captions)
        return Effect(
            "pgd",
            changed,
            cider,
            epsilon,
            against,
            self._changed(rounded[0] if rounded else self.clean),
        )

    def lost_words(self, epsilon: float, steps: int) -> LostWords:
        """Count the words that attacks on the plain model remove, by who keeps them."""
        attacked = self._attacked("plain", epsilon, steps)[0]
        counts = np.zeros(6, int)
        for name, caption in self.clean["plain"].items():
            before = caption.lower().split()
            kept, hardened, control = (
                kept_places(diff_words(before, attacked[model][name].lower().split()))
                for model in ("plain", "hardened", "control")
            )
            lost = frozenset(range(len(before))) - kept
            hardened, control = hardened & lost, control & lost
            groups = lost, hardened, control, hardened - control, control - hardened
            counts += [len(before), *map(len, groups)]
        return LostWords(epsilon, *counts.tolist())

    def _attacked(self, against: str, epsilon: float, steps: int) -> list[dict[str, Captions]]:
        """Return the captions of the attacked images, and of these in whole grey levels.

        Below half a grey level the latter are the clean images, and left out.
        """

        def attacked(pixels: Pixels) -> list[Pixels]:
            grids = self._tails[against](self._head(pixels))
            tokens = np.asarray(self._searches[against](grids).tokens)
            exact = pixels + self._attacks[against].perturb(pixels, tokens, epsilon, steps)
            return [exact] if epsilon < _HALF_LEVEL else [exact, np.rint(exact)]

        return self._captions(f"epsilon {epsilon:g}, {steps} steps, {against}", attacked)

    def _changed(self, captions: Mapping[str, Captions]) -> Shares:
        """Return the share of each model's captions that differ from its own of clean images."""
        return {name: _changed(self.clean[name], each) for name, each in captions.items()}

    def _captions(
        self, title: str, change: Callable[[Pixels], list[Pixels]]
    ) -> list[dict[str, Captions]]:
        """Caption the images with all models after a change, or return an earlier test's result.

        Args:
            title: Names the result.
            change: Returns one or more changed versions of a batch of images.

        Returns:
            For each version, the captions by model.
        """
        file = self._folder / f"{title}.json"
        if file.is_file():
            known: list[dict[str, Captions]] = json.loads(file.read_text())
            return known
        versions: list[dict[str, Captions]] = []
        for start in tqdm(range(0, len(self._examples), BATCH), desc=title, unit="batch"):
            part = self._examples[start : start + BATCH]
            for index, pixels in enumerate(change(load_pixels(self._dataset, part, self._side))):
                if index == len(versions):
                    versions.append({name: {} for name in self._models})
                features = self._head(pixels)
                for name in self._models:
                    tokens = np.asarray(self._searches[name](self._tails[name](features)).tokens)
                    for example, ids in zip(part, tokens.tolist(), strict=True):
                        caption = sentence(self._vocabulary.decode(ids))
                        versions[index][name][example.name] = caption
        unfinished = file.with_suffix(".partial")
        unfinished.write_text(json.dumps(versions, indent=2) + "\n")
        unfinished.rename(file)
        return versions


def _change_all(name: str, random: np.random.Generator, pixels: Pixels) -> list[Pixels]:
    """Change each of some images in a harmless way."""
    images = [HARMLESS[name](each, random) for each in pixels.astype(np.uint8)]
    return [np.stack(images).astype(np.float32)]


def _changed(before: Captions, after: Captions) -> float:
    return float(np.mean([before[name] != after[name] for name in before]))
