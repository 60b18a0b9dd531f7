"""TODO."""

from models.hardening.hardened_decoder import (
    HardenedCard,
    copy_decoder,
    load_hardened,
    save_hardened,
)

__all__ = [
    "HardenedCard",
    "copy_decoder",
    "load_hardened",
    "save_hardened",
]
