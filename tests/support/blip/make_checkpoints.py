"""Make the tiny BLIP checkpoints beside this file, and what `transformers` computes with them.

Run from the root of the repository, in a separate virtual environment:

    pip install numpy pillow torch==2.13.0 transformers==5.24.0
    python -m tests.support.blip.make_checkpoints

Weights are random and stored in half precision (`brain` in bfloat16); everything is computed in
single precision.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers  # type: ignore[import-not-found]
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.support.blip import WORD_PIECES, folder, make_images, make_photo, stored

VOCABULARY = [
    "[PAD]", "[unused0]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
    *"!',-./0123456789?",
    *"abcdefghijklmnopqrstuvwxyz",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
    "the", "man", "woman", "dog", "cat", "with", "and", "two", "on", "in", "of", "sitting", "red",
    "standing", "blue", "snow", "board", "play", "picture", "surf", "skate", "base", "cafe",
    "##ing", "##s", "##board", "##er", "##ed", "##ball", "\u4e2d", "\u00e9",
]  # fmt: skip
"""Some words, their endings and all letters. [DEC] and [ENC] follow without a line of their own."""


TEXTS = (
    "the man", "A Man, sitting on the SNOWBOARD!", "skateboarding", "surfboards and baseballs",
    "the dog's ball", "don't", "t-shirt", "caf\u00e9 caf\u0065\u0301", "  two\tcats\n", "",
    "x" * 100, "x" * 101, "\u4e2d\u4e2d\u56fd", "\u0130stanbul", "stra\u00dfe", "caf\u00c9",
    "man\u200b\u00a0cat\u0000dog", "10.5%", "a_b", "a+b", "\u2014dog\u2019s", "\U0001f600 cat",
    "##s", "\ufffdman",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """The sizes of a checkpoint."""

    vision: dict[str, Any]
    text: dict[str, Any]
    tied: bool = True
    dtype: torch.dtype = torch.float16
    seed: int = 0


def sizes(width: int, layers: int, heads: int, hidden: int) -> dict[str, int]:
    """Return the keys of a transformer's sizes."""
    return {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": hidden,
    }


CASES = {
    "plain": Case(sizes(16, 2, 2, 32) | {"image_size": 32, "patch_size": 8}, sizes(16, 2, 2, 32)),
    "untied": Case(
        sizes(24, 1, 3, 40) | {"image_size": 48, "patch_size": 16},
        sizes(16, 2, 4, 24) | {"max_position_embeddings": 32},
        tied=False,
    ),
    "wide": Case(
        sizes(32, 2, 4, 48) | {"image_size": 40, "patch_size": 8},
        sizes(20, 3, 1, 60) | {"layer_norm_eps": 1e-6},
    ),
    # Its side is no multiple of the patch: the rest is not seen.
    "deep": Case(
        sizes(12, 4, 1, 24) | {"image_size": 38, "patch_size": 12, "layer_norm_eps": 1e-6},
        sizes(24, 4, 3, 24),
    ),
    "brain": Case(
        sizes(16, 1, 4, 16) | {"image_size": 32, "patch_size": 32},
        sizes(16, 1, 2, 16),
        dtype=torch.bfloat16,
    ),
}


def main() -> None:
    """Write all folders."""
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    for name, case in CASES.items():
        shutil.rmtree(folder(name), ignore_errors=True)
        folder(name).mkdir()
        write_checkpoint(folder(name), case)
        np.savez_compressed(folder(name) / "expected.npz", **compute(folder(name)))
        describe(name)
    write_word_pieces()


def write_word_pieces() -> None:
    """Write how texts are split, by whether the vocabulary is uncased."""
    vocabulary = {piece: token for token, piece in enumerate(VOCABULARY)}
    split: dict[str, dict[str, list[int]]] = {}
    for lower_case in (True, False):
        tokenizer = transformers.BertTokenizer(vocabulary, do_lower_case=lower_case)
        split[json.dumps(lower_case)] = {
            text: tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS
        }
    WORD_PIECES.write_text(json.dumps(split, indent=1) + "\n")


def write_checkpoint(path: Path, case: Case) -> None:
    """Write a checkpoint as it is published: `vocab.txt`, not the newer `tokenizer.json`."""
    (path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in VOCABULARY))
    (path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}) + "\n")
    side = case.vision["image_size"]
    processor = transformers.BlipImageProcessor(size={"height": side, "width": side})
    processor.save_pretrained(path)
    text = case.text | {
        "vocab_size": len(VOCABULARY) + 2,
        "bos_token_id": len(VOCABULARY),
        "sep_token_id": VOCABULARY.index("[SEP]"),
        "tie_word_embeddings": case.tied,
    }
    text.setdefault("max_position_embeddings", 64)
    config = transformers.BlipConfig(
        text_config=text, vision_config=case.vision, tie_word_embeddings=case.tied
    )
    model = transformers.BlipForConditionalGeneration(config)
    randomize(model, case.seed)
    model.to(case.dtype).save_pretrained(path)
    (path / "generation_config.json").unlink()
    if case.tied:
        # The published files store tied weights twice.
        weights = load_file(path / "model.safetensors")
        words = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
        weights["text_decoder.cls.predictions.decoder.weight"] = words.clone()
        bias = weights["text_decoder.cls.predictions.bias"]
        weights["text_decoder.cls.predictions.decoder.bias"] = bias.clone()
        save_file(weights, path / "model.safetensors", {"format": "pt"})


def randomize(model: Any, seed: int) -> None:
    """Set weights with which captions differ between images, and end."""
    random = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        noise = torch.randn(value.shape, generator=random)
        if "norm" in name.lower() and name.endswith("weight"):
            value.data = 1 + 0.2 * noise
        elif value.ndim == 1:
            value.data = 0.2 * noise
        elif "embedding" in name:
            value.data = 0.5 * noise
        else:
            value.data = 1.5 * noise * value[0].numel() ** -0.5
    predictions = model.text_decoder.cls.predictions
    predictions.decoder.bias.data[VOCABULARY.index("[SEP]")] = 4.0


def compute(path: Path) -> dict[str, Any]:
    """Compute everything that the tests compare with."""
    model = transformers.BlipForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
    model.eval()
    config = model.config.text_config
    images = make_images(model.config.vision_config.image_size)
    processor = transformers.BlipImageProcessor.from_pretrained(path)
    pixels = processor(list(images), return_tensors="pt")["pixel_values"]
    photo = processor(Image.fromarray(make_photo()), return_tensors="pt")["pixel_values"]
    result: dict[str, Any] = {"photo": photo[0].numpy().transpose(1, 2, 0)}

    random = np.random.default_rng(0)
    tokens = random.integers(6, len(VOCABULARY), (2, 9))
    read = np.concatenate([np.full((2, 1), config.bos_token_id), tokens[:, :-1]], axis=1)
    with torch.no_grad():
        output = model(pixels[:2], torch.tensor(read), is_decoder=True)
    result |= {"image_tokens": output.image_embeds.numpy(), "tokens": tokens.astype(np.int32)}
    result["logits"] = output.logits.numpy()

    for name, options in searches(path.name).items():
        result |= {f"{name}/{key}": value for key, value in search(model, pixels, options).items()}
    return result


OPTIONS: dict[str, dict[str, Any]] = {
    "short": {"num_beams": 3, "length_penalty": -1.0},
    "long": {"num_beams": 3, "length_penalty": 2.0, "early_stopping": "never"},
    "early": {"num_beams": 3, "early_stopping": True},
    "minimum": {"num_beams": 3, "min_new_tokens": 5},
    "few": {"num_beams": 4, "max_new_tokens": 3},
    "prompt": {"num_beams": 2, "prompt": "picture of"},
}


def searches(name: str) -> dict[str, dict[str, Any]]:
    """Return the options of each search with a checkpoint."""
    widths = {f"beam{width}": {"num_beams": width} for width in range(1, 6)}
    return widths | OPTIONS if name == "plain" else widths


def search(model: Any, pixels: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens [20, T] of each image, without start and prompt, and their scores.

    Images are captioned one by one: `transformers` lets images of a batch affect each other, as
    all go on until the last is finished.
    """
    config = model.config.text_config
    options = {"max_new_tokens": 12, "do_sample": False} | options
    prompt = [VOCABULARY.index(word) for word in options.pop("prompt", "").split()]
    first = torch.tensor([[config.bos_token_id, *prompt, config.sep_token_id]])
    rows, scores = [], []
    for image in pixels:
        found = model.generate(
            image[None], first.clone(), return_dict_in_generate=True, output_scores=True, **options
        )
        row = np.full(options["max_new_tokens"], config.pad_token_id, np.int32)
        tokens = found.sequences[0, 1 + len(prompt) :].numpy()
        row[: len(tokens)] = tokens
        rows.append(row)
        scores.append(float(found.sequences_scores[0]) if options["num_beams"] > 1 else 0.0)
    return {"tokens": np.stack(rows), "scores": np.array(scores, np.float32)}


def describe(name: str) -> None:
    """Print how large a checkpoint is and how its captions differ."""
    arrays = stored(name)
    size = sum(path.stat().st_size for path in folder(name).iterdir())
    end = VOCABULARY.index("[SEP]")
    for case in searches(name):
        tokens = arrays[f"{case}/tokens"]
        ended = (tokens == end).any(axis=1)
        different = len({tuple(row) for row in tokens})
        lengths = sorted({int(n) for n in (tokens != 0).sum(axis=1)})
        print(f"{name} {size} bytes, {case}: {different} captions, {ended.sum()} end, {lengths}")


if __name__ == "__main__":
    main()
