"""Where the captioner looked for a word, and what would have changed its mind."""

from inference.explanations.map import CaptionMaps, Check, Map, pooled
from inference.explanations.target import Kind, MethodCard, Target

__all__ = [
    "CaptionMaps",
    "Check",
    "Kind",
    "Map",
    "MethodCard",
    "Target",
    "pooled",
]
