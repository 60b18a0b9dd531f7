"""Make `maps.npz` in the folders of tiny BLIP checkpoints: maps of a caption in plain PyTorch.

Run from the root of the repository, after `make_checkpoints.py`, in the same virtual environment:

    python -m tests.support.blip.make_maps

The caption is the first one of the stored `tokens`, of the first image. Each token has a backward
pass of its own, and attention is that of the published implementation's own modules:

- `attention` and `crossattention`, for each layer of the text decoder [L, T, rows, columns]: see
  `compute_gradcam` in LAVIS, with the token's logit in place of the matching score, and of the
  attention the row from which the token is predicted;
- `gradcam` and `hirescam` at the patches [T, rows, columns], signed; `-total` through all previous
  tokens, otherwise with their keys and values held in a cache, as constants;
- `saliency` of the token at `PLACE`, [S, S], and `logits` [T];
- `attack`: the gradient at the encoding, [1 + N, C], of the objective that makes the first two
  tokens less probable and `RAISED` more, from the place `FIRST` on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import transformers  # type: ignore[import-not-found]
from numpy.typing import NDArray

from tests.support.blip import FIRST, MAPPED, PLACE, RAISED, folder, make_images, stored


class Explained:
    """A caption of an image in the published implementation, and the gradients of its tokens."""

    def __init__(self, name: str) -> None:
        """Encode the image of a checkpoint."""
        self.model = transformers.BlipForConditionalGeneration.from_pretrained(
            folder(name), dtype=torch.float32
        )
        self.model.eval()
        vision = self.model.config.vision_config
        self.side = vision.image_size // vision.patch_size
        processor = transformers.BlipImageProcessor.from_pretrained(folder(name))
        image = make_images(vision.image_size)[0].astype(np.float32)
        self.pixels = torch.tensor(image, requires_grad=True)
        mean, deviation = (torch.tensor(x) for x in (processor.image_mean, processor.image_std))
        normal = (self.pixels / 255 - mean) / deviation
        self.encoding = self.model.vision_model(normal.permute(2, 0, 1)[None])[0]
        self.tokens = stored(name)["tokens"][0].tolist()
        self.before = [self.model.config.text_config.bos_token_id, *self.tokens[:-1]]

    def logits(self, attention: list[torch.Tensor]) -> torch.Tensor:
        """Return the logits [T, V], and add each layer's cross-attention to the list."""
        layers = self.model.text_decoder.bert.encoder.layer
        hooks = [
            layer.crossattention.self.dropout.register_forward_hook(
                lambda _module, _inputs, weights: attention.append(weights)
            )
            for layer in layers
        ]
        logits = self.model.text_decoder(
            input_ids=torch.tensor([self.before]), encoder_hidden_states=self.encoding
        ).logits[0]
        for hook in hooks:
            hook.remove()
        return logits

    def direct_logit(self, place: int) -> torch.Tensor:
        """Return a token's logit as a function of the encoding alone, the past being constant."""
        decoder = self.model.text_decoder
        past = transformers.DynamicCache()
        if place:
            with torch.no_grad():
                past = decoder(
                    input_ids=torch.tensor([self.before[:place]]),
                    encoder_hidden_states=self.encoding,
                    cache=transformers.EncoderDecoderCache(past, transformers.DynamicCache()),
                    use_cache=True,
                ).cache.self_attention_cache
        logits = decoder(
            input_ids=torch.tensor([self.before[place : place + 1]]),
            encoder_hidden_states=self.encoding,
            cache=transformers.EncoderDecoderCache(past, transformers.DynamicCache()),
            use_cache=True,
        ).logits
        return logits[0, 0, self.tokens[place]]

    def cams(self, logit: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the signed Grad-CAM and HiResCAM of a logit at the patches."""
        (gradient,) = torch.autograd.grad(logit, self.encoding, retain_graph=True)
        patches, gradients = self.encoding[0, 1:], gradient[0, 1:]
        gradcam = (patches * gradients.mean(dim=0)).sum(dim=-1)
        return self.map(gradcam), self.map((patches * gradients).sum(dim=-1))

    def map(self, values: torch.Tensor) -> NDArray[np.float32]:
        """Return values of the patches as a map [rows, columns]."""
        return np.asarray(values.detach().numpy().reshape(self.side, self.side))

    def attack(self, logits: torch.Tensor) -> NDArray[np.float32]:
        """Return the gradient of the attack's objective at the encoding."""
        log_probs = torch.log_softmax(logits, dim=-1)
        closeness = []
        for row in log_probs[FIRST:]:
            others = torch.cat([row[:RAISED], row[RAISED + 1 :]])
            closeness.append(row[RAISED] - others.max())
        z = -sum(log_probs[place, self.tokens[place]] for place in range(2))
        z = z + torch.stack(closeness).max()
        (gradient,) = torch.autograd.grad(z, self.encoding, retain_graph=True)
        return np.asarray(gradient[0].numpy())


def explain(name: str) -> Iterator[tuple[str, Any]]:
    """Yield the names and arrays of a checkpoint."""
    caption = Explained(name)
    layers: list[torch.Tensor] = []
    logits = caption.logits(layers)
    chosen = torch.stack([row[token] for row, token in zip(logits, caption.tokens, strict=True)])
    yield "logits", chosen.detach().numpy()
    (at_pixels,) = torch.autograd.grad(chosen[PLACE], caption.pixels, retain_graph=True)
    yield "saliency", at_pixels.abs().amax(dim=-1).numpy()
    attention, products, total = [], [], []
    for place, logit in enumerate(chosen):
        at_layers = torch.autograd.grad(logit, layers, retain_graph=True)
        rows = [weights[0, :, place, 1:] for weights in layers]
        slopes = [each[0, :, place, 1:].clamp(min=0) for each in at_layers]
        attention.append([caption.map(row.mean(dim=0)) for row in rows])
        pairs = zip(rows, slopes, strict=True)
        products.append([caption.map((row * slope).mean(dim=0)) for row, slope in pairs])
        total.append(caption.cams(logit))
    yield "attention", np.swapaxes(attention, 0, 1)
    yield "crossattention", np.swapaxes(products, 0, 1)
    direct = [caption.cams(caption.direct_logit(place)) for place in range(len(caption.tokens))]
    for suffix, cams in (("", direct), ("-total", total)):
        gradcam, hirescam = np.swapaxes(cams, 0, 1)
        yield from ((f"gradcam{suffix}", gradcam), (f"hirescam{suffix}", hirescam))
    yield "attack", caption.attack(logits)


def main() -> None:
    """Write the files."""
    transformers.logging.set_verbosity_error()
    for name in MAPPED:
        arrays = dict(explain(name))
        np.savez_compressed(folder(name) / "maps.npz", **arrays)
        peaks = ", ".join(f"{key} {np.abs(value).max():.2g}" for key, value in arrays.items())
        print(f"{name} {(folder(name) / 'maps.npz').stat().st_size} bytes: {peaks}")


if __name__ == "__main__":
    main()
