"""How many threads the captioner takes."""

import os

_ENCODER_THREADS = 2


def use_one_thread() -> None:
    """Let TensorFlow compute in one thread, unless the environment says otherwise.

    Layers as small as the decoder's gain nothing from a second, which spins meanwhile: one is
    faster, and leaves the other cores to the video. To be called before TensorFlow first computes.
    """
    for pool in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ.setdefault(pool, "1")


def encoder_threads() -> int:
    """How many threads LiteRT runs the encoder in.

    Its convolutions are large enough to halve in time with a second, which sleeps between
    pictures; more would have to be taken from the video.
    """
    return min(_ENCODER_THREADS, len(os.sched_getaffinity(0)))
