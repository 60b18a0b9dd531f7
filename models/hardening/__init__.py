"""Hardened models: trained to give the same captions for attacked images, with a control.

`caption_attack`, `features`, `robustness` and `training`, which `python -m models.harden` runs, are
not re-exported: they import TensorFlow and tqdm.
"""

from models.hardening.card import Effect, HardenedCard, LostWords
from models.hardening.files import (
    Hardened,
    load_hardened,
    read_hardened_card,
    round_weights,
    save_hardened,
)
from models.hardening.harmless import HARMLESS
from models.hardening.student import Student

__all__ = [
    "HARMLESS",
    "Effect",
    "Hardened",
    "HardenedCard",
    "LostWords",
    "Student",
    "load_hardened",
    "read_hardened_card",
    "round_weights",
    "save_hardened",
]
