"""How many threads TensorFlow takes."""

import os


def use_one_thread() -> None:
    """Let TensorFlow compute in one thread, unless the environment says otherwise.

    Layers as small as the captioner's gain nothing from a second, which spins meanwhile: one is
    faster, and leaves the other cores to the video. To be called before TensorFlow first computes.
    """
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, "1")
