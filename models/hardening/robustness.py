"""How far captions change under attack: of a captioner, and of a hardened decoder beside it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from models.captioner import BeamConfig, Captioner, Decoder
from models.datasets import Dataset, Example
from models.evaluation import Searcher, score
from models.hardening.attacked_grids import CaptionAttack, pictures
from models.hardening.hardened_decoder import Robustness
from models.language import sentence

_BATCH = 8


Captions = dict[str, str]
"""By the pictures' names."""


class Contest:
    """Two decoders behind one encoder, on the same pictures."""

    def __init__(
        self,
        captioner: Captioner,
        hardened: Decoder,
        beam: BeamConfig,
        dataset: Dataset,
        examples: Sequence[Example],
    ) -> None:
        """Caption the clean pictures by both."""
        self._captioner = captioner
        self._decoders = {"plain": captioner.decoder, "hardened": hardened}
        self._searchers = {name: Searcher(each, beam) for name, each in self._decoders.items()}
        self._dataset, self._examples = dataset, examples
        self._references = {example.name: example.captions for example in examples}
        captioner.encoder.compile(jit_compile=False)
        self.clean = self._captions(None, 0.0, 0)
        """By the decoder's name."""

    def cider(self, captions: Captions) -> float:
        """Score captions against those that people wrote."""
        return score(captions, self._references).cider

    def attack(self, against: str, epsilon: float, steps: int) -> Robustness:
        """Attack every picture's caption by one of the decoders, and let both caption it."""
        attacked = self._captions(against, epsilon, steps)
        changed = {name: changes(self.clean[name], said) for name, said in attacked.items()}
        return Robustness(
            epsilon=epsilon,
            attacked=against,
            changed_plain=changed["plain"],
            changed_hardened=changed["hardened"],
            cider_plain=self.cider(attacked["plain"]),
            cider_hardened=self.cider(attacked["hardened"]),
        )

    def _captions(self, against: str | None, epsilon: float, steps: int) -> dict[str, Captions]:
        attack = CaptionAttack(self._captioner, self._decoders[against]) if against else None
        said: dict[str, Captions] = {name: {} for name in self._decoders}
        title = f"epsilon {epsilon:g}, {against}" if against else "clean"
        for start in tqdm(range(0, len(self._examples), _BATCH), desc=title, unit="batch"):
            part = self._examples[start : start + _BATCH]
            pixels = pictures(self._dataset, part, self._captioner.config.image_size)
            if against and attack:
                tokens = self._search(against, self._encode(pixels))
                pixels = pixels + attack.perturb(pixels, tokens, epsilon, steps)
            grids = self._encode(pixels)
            for name in self._decoders:
                for example, ids in zip(part, self._search(name, grids), strict=True):
                    words = self._captioner.vocabulary.decode(ids.tolist())
                    said[name][example.name] = sentence(words)
        return said

    def _encode(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self._captioner.encoder.predict_on_batch(pixels), np.float32)

    def _search(self, name: str, grids: NDArray[np.float32]) -> NDArray[np.int32]:
        return np.asarray(self._searchers[name].predict_on_batch(grids), np.int32)


def changes(before: Captions, after: Captions) -> float:
    """Tell the share of captions that are others than before, in 0..1."""
    return float(np.mean([before[name] != after[name] for name in before]))
