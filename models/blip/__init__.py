"""BLIP, a published captioner: vision transformer, text decoder, word pieces and beam search.

Li et al., "BLIP: Bootstrapping Language-Image Pre-training for Unified Vision-Language
Understanding and Generation" (ICML 2022).
"""

from models.blip.beam_search import (
    SearchConfig,
    beam_search,
    search_with,
    teacher_forced_captions,
)
from models.blip.config import BlipConfig, TextConfig, VisionConfig
from models.blip.decoder import Cache, Decoder, KeysValues, Memory, Read, TeacherForced
from models.blip.reading import Blip, load_blip
from models.blip.vision import VisionBlock
from models.blip.word_pieces import WordPieces

__all__ = [
    "Blip",
    "BlipConfig",
    "Cache",
    "Decoder",
    "KeysValues",
    "Memory",
    "Read",
    "SearchConfig",
    "TeacherForced",
    "TextConfig",
    "VisionBlock",
    "VisionConfig",
    "WordPieces",
    "beam_search",
    "load_blip",
    "search_with",
    "teacher_forced_captions",
]
