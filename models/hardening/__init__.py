"""Hardened decoders: trained to give the same captions for attacked images.

`caption_attack` and `training`, which `python -m models.harden` runs, are not re-exported: they
import TensorFlow and tqdm.
"""

from models.hardening.hardened_decoder import (
    HardenedCard,
    copy_decoder,
    load_hardened,
    read_hardened_card,
    save_hardened,
)

__all__ = [
    "HardenedCard",
    "copy_decoder",
    "load_hardened",
    "read_hardened_card",
    "save_hardened",
]
