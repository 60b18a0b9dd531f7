"""Caption an image by `transformers` at each line of the input, in another Python environment.

`PYTHON transformers_captioner.py FOLDER IMAGE.npy WIDTH LENGTH`, where that Python has torch and
transformers. Answers each line with the seconds of the encoder and of `generate`, which encodes
again, and the tokens.
"""

import json
import sys
import time

import numpy as np
import torch
from transformers import (  # type: ignore[import-not-found]
    BlipForConditionalGeneration,
    BlipImageProcessor,
    logging,
)


def main(folder: str, image: str, width: int, length: int) -> None:
    """Answer until the input ends."""
    logging.set_verbosity_error()
    model = BlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = BlipImageProcessor.from_pretrained(folder)(np.load(image), return_tensors="pt")[
        "pixel_values"
    ]
    with torch.no_grad():
        for _ in sys.stdin:
            started = time.perf_counter()
            model.vision_model(pixels)
            encoded = time.perf_counter()
            found = model.generate(pixels, num_beams=width, max_new_tokens=length, do_sample=False)
            done = time.perf_counter()
            seconds = {"encoder": encoded - started, "total": done - encoded}
            tokens = found[0, 1:].tolist()
            print(json.dumps({"seconds": seconds, "tokens": tokens}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
