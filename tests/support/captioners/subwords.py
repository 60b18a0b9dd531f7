"""A tiny captioner whose words have several tokens and whose encodings have a class token.

A linear encoder of patches, and a decoder that reads all tokens of the encoding by attention and
sees only the token before. Its weights are random, with a bias towards captions such as "a
snowboarder's dog". It is as unlike Sightline's own captioner as the interface allows: the end token
has another id, the cells are no square, and values have both signs.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from inference.captioning.model import Ability, Array, CaptionModel, Tokens
from inference.captioning.objective import AttackObjective, LogitTerms, TokenScores
from inference.captioning.wording import Wording
from models.captioner import BeamCaption, BeamConfig
from models.checkpoint import ModelCard
from models.language import PAD
from models.preprocessing import Resizing

PIECES = (
    *("[PAD]", "[START]", "[UNK]", "a", "dog", "snow", "##board", "##er", "[END]", "on", "'", "s"),
    *("hill", "skate", "t", "-", "shirt", "##man"),
)
START, END = 1, 8
SPECIAL = (0, 1, 2, END)
SIDE, ROWS, COLUMNS, CHANNELS = 32, 4, 2, 6
MAX_LENGTH, ALTERNATIVES = 9, 4
_PATH = ("[START]", "a", "snow", "##board", "##er", "'", "s", "dog", "[END]")
_NEVER = -1e9


def split(word: str) -> tuple[int, ...]:
    """Split a word into the longest pieces from its beginning on; none if it has no such pieces."""
    tokens: list[int] = []
    for part in re.findall(r"[a-z]+|[^a-z]", word):
        rest, prefix = part, ""
        while rest:
            for stop in range(len(rest), 0, -1):
                if prefix + rest[:stop] in PIECES:
                    tokens.append(PIECES.index(prefix + rest[:stop]))
                    rest, prefix = rest[stop:], "##"
                    break
            else:
                return ()
    return tuple(tokens)


class SubwordCaptionModel(CaptionModel):
    """The captioner; `abilities` restricts what it can do."""

    max_batch = 1
    live_methods: tuple[str, ...] = ("gradcam",)

    def __init__(
        self,
        abilities: frozenset[Ability] = frozenset(
            {Ability.GRADIENTS, Ability.PIXEL_GRADIENTS, Ability.ATTACK_GRADIENTS}
        ),
    ) -> None:
        """Draw the weights; the same each time."""
        beam = BeamConfig(3, MAX_LENGTH, length_power=0.0)
        card = ModelCard("sub-words", "nothing", "none", {}, beam)
        super().__init__(Path("/nowhere"), card, Wording(PIECES, END, SPECIAL, split))
        self.resizing, self.grid_size = Resizing(SIDE), (ROWS, COLUMNS)
        self.encoder_name, self.max_length, self.default_beam_width = "patches", MAX_LENGTH, 3
        self.abilities = abilities
        random = np.random.default_rng(0)
        patch = SIDE // ROWS * SIDE // COLUMNS * 3

        def draw(scale: float, *shape: int) -> NDArray[np.float32]:
            return random.normal(0, scale, shape).astype(np.float32)

        self.kernel, self.summary = draw(0.05, patch, CHANNELS), draw(0.5, CHANNELS, CHANNELS)
        self.embedding, self.query = draw(1, len(PIECES), 5), draw(1, 5, CHANNELS)
        self.output = draw(1.2, CHANNELS, len(PIECES))
        self.transition = draw(0.3, len(PIECES), len(PIECES))
        for before, after in pairwise(_PATH):
            self.transition[PIECES.index(before), PIECES.index(after)] += 5
        self.transition[:, [0, 1, 2]] = _NEVER

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:  # noqa: D102
        return np.asarray(self._encode(tf.constant(pixels, tf.float32)))

    def cells(self, encodings: Array) -> Array:  # noqa: D102
        return encodings[:, 1:].reshape(-1, ROWS, COLUMNS, CHANNELS)

    def with_cells(self, encodings: Array, cells: Array) -> Array:  # noqa: D102
        flat = cells.reshape(-1, ROWS * COLUMNS, CHANNELS)
        return np.concatenate([encodings[:, :1], flat], axis=1)

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:  # noqa: D102
        width = beam_width or self.default_beam_width
        return self.rescore(encodings, [self._search(each, width) for each in encodings])

    def rescore(  # noqa: D102
        self, encodings: Array, captions: Sequence[Sequence[int]]
    ) -> BeamCaption:
        pairs = zip(encodings, captions, strict=True)
        rows = [self._scored(each, list(caption)) for each, caption in pairs]
        return BeamCaption(*(np.stack(parts) for parts in zip(*rows, strict=True)))

    def token_scores(  # noqa: D102
        self, encodings: Array, tokens: Tokens, candidates: Tokens
    ) -> TokenScores:
        logits = np.asarray(self.next_logits(tf.constant(encodings), tokens.tolist()))
        log_probs = np.stack([self._log_probs(each, tokens.tolist()) for each in encodings])
        places = np.arange(len(tokens))
        return TokenScores(log_probs[:, places, tokens], logits[:, places[:, None], candidates])

    def token_maps(  # noqa: D102
        self, method: str, encodings: Array, captions: Sequence[BeamCaption], terms: LogitTerms
    ) -> Array:
        assert method == "gradcam"
        maps = np.zeros((*terms.plus.shape, ROWS, COLUMNS), np.float32)
        for row, place in zip(*np.nonzero(terms.plus), strict=True):
            one = LogitTerms(
                *(
                    np.where(np.arange(place + 1) == place, part[row, : place + 1], PAD)
                    for part in terms
                )
            )
            tokens = np.asarray(captions[row].tokens)[: place + 1]
            gradient = self.gradient(encodings[row], tokens, one)
            alpha = self.cells(gradient[None])[0].mean(axis=(0, 1))
            maps[row, place] = self.cells(encodings[row][None])[0] @ alpha
        return maps

    def gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:  # noqa: D102
        return self._gradient(encoding, lambda given: self._z(given, tokens, terms))

    def attack_gradient(self, encoding: Array, objective: AttackObjective) -> Array:  # noqa: D102
        if Ability.ATTACK_GRADIENTS not in self.abilities:
            return super().attack_gradient(encoding, objective)
        return self._gradient(encoding, lambda given: self._objective(given, objective))

    def pixel_gradient(self, pixels: Array, encoding_gradient: Array) -> Array:  # noqa: D102
        if Ability.PIXEL_GRADIENTS not in self.abilities:
            return super().pixel_gradient(pixels, encoding_gradient)
        given = tf.constant(pixels[None])
        with tf.GradientTape() as tape:
            tape.watch(given)
            encoding = self._encode(given)
        return np.asarray(tape.gradient(encoding, given, encoding_gradient[None])[0])

    def warm_up(self) -> None:
        """Nothing is compiled."""

    def next_logits(self, encodings: tf.Tensor, tokens: Sequence[int]) -> tf.Tensor:
        """Return the logits at each place of a caption, [B, T, tokens]."""
        before = [START, *tokens[:-1]]
        queries = tf.constant(self.embedding[before] @ self.query)
        weights = tf.nn.softmax(tf.einsum("tc,bnc->btn", queries, encodings))
        read = tf.tanh(tf.einsum("btn,bnc->btc", weights, encodings))
        return tf.einsum("btc,cv->btv", read, self.output) + self.transition[before]

    def _log_probs(self, encoding: Array, tokens: Sequence[int]) -> Array:
        """Return the log-probabilities at each place, [T, tokens]; in NumPy, which is faster."""
        before = [START, *tokens[:-1]]
        scores = self.embedding[before] @ self.query @ encoding.T
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        read = np.tanh(weights @ encoding / weights.sum(axis=1, keepdims=True))
        logits = read @ self.output + self.transition[before]
        largest = logits.max(axis=1, keepdims=True)
        sums = np.exp(logits - largest).sum(axis=1, keepdims=True)
        return np.asarray(logits - largest - np.log(sums), np.float32)

    def _encode(self, pixels: tf.Tensor) -> tf.Tensor:
        down, right = SIDE // ROWS, SIDE // COLUMNS
        patches = tf.reshape(pixels / 127.5 - 1, (-1, ROWS, down, COLUMNS, right, 3))
        patches = tf.transpose(patches, (0, 1, 3, 2, 4, 5))
        flat = tf.reshape(patches, (-1, ROWS * COLUMNS, down * right * 3))
        cells = tf.matmul(flat, self.kernel)
        summary = tf.tanh(tf.matmul(tf.reduce_mean(cells, axis=1, keepdims=True), self.summary))
        return tf.concat([summary, cells], axis=1)

    def _z(self, encodings: tf.Tensor, tokens: Tokens, terms: LogitTerms) -> tf.Tensor:
        logits = self.next_logits(encodings, tokens.tolist())
        z = tf.zeros(len(encodings))
        for sign, part in ((1.0, terms.plus), (-1.0, terms.minus)):
            for place in np.flatnonzero(part):
                z += sign * logits[:, place, part[place]]
        return z

    def _objective(self, encodings: tf.Tensor, objective: AttackObjective) -> tf.Tensor:
        log_probs = tf.nn.log_softmax(self.next_logits(encodings, objective.tokens.tolist()))[0]
        z = -sum(
            (log_probs[place, token] for place, token in enumerate(objective.lowered) if token),
            tf.constant(0.0),
        )
        if objective.raised != PAD:
            others = tf.where(tf.range(len(PIECES)) == objective.raised, _NEVER, log_probs)
            close = log_probs[:, objective.raised] - tf.reduce_max(others, axis=1)
            z += tf.reduce_max(close[objective.first :])
        return z

    def _gradient(self, encoding: Array, z: object) -> Array:
        if Ability.GRADIENTS not in self.abilities:
            self._lacks(Ability.GRADIENTS)
        given = tf.constant(encoding[None])
        with tf.GradientTape() as tape:
            tape.watch(given)
            value = z(given)  # type: ignore[operator]
        return np.asarray(tape.gradient(value, given)[0])

    def _search(self, encoding: Array, width: int) -> list[int]:
        """Return the most probable caption that a beam search finds, with its end token."""
        beam: list[tuple[float, list[int]]] = [(0.0, [])]
        for _ in range(MAX_LENGTH):
            longer = []
            for score, tokens in beam:
                if tokens and tokens[-1] == END:
                    longer.append((score, tokens))
                    continue
                log_probs = self._log_probs(encoding, [*tokens, 0])[-1]
                best = np.argsort(-log_probs)[:width]
                longer += [(score + float(log_probs[each]), [*tokens, int(each)]) for each in best]
            beam = sorted(longer, key=lambda pair: -pair[0])[:width]
        return beam[0][1]

    def _scored(self, encoding: Array, caption: list[int]) -> BeamCaption:
        """Score one caption: arrays [MAX_LENGTH, ...]."""
        log_probs = self._log_probs(encoding, caption)
        order = np.argsort(-log_probs, axis=1)[:, :ALTERNATIVES]
        pad = MAX_LENGTH - len(caption)
        own = np.pad(log_probs[np.arange(len(caption)), caption], (0, pad))
        return BeamCaption(
            tokens=np.pad(np.array(caption, np.int32), (0, pad)),
            log_probs=own,
            alternative_tokens=np.pad(order.astype(np.int32), ((0, pad), (0, 0))),
            alternative_log_probs=np.pad(
                np.take_along_axis(log_probs, order, axis=1), ((0, pad), (0, 0))
            ),
            search_log_probs=own,
            hidden=np.zeros((MAX_LENGTH, 0), np.float32),
            beam=np.pad(np.array(caption, np.int32), (0, pad))[None],
            scores=own.sum()[None],
            agreement=np.zeros(1, np.float32),
        )
