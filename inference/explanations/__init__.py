"""Explanations of captions: heat maps of what words, captions and tags are based on.

Only light modules are exported here: `methods` and what they compute with load TensorFlow.
"""

from inference.explanations.check import Check, Verdict
from inference.explanations.contact_sheet import Tile, draw_contact_sheet
from inference.explanations.heatmap import COLORMAP, OPACITIES, paint, to_levels
from inference.explanations.map import CaptionMaps, Map, RoughMap, read_progress
from inference.explanations.target import MethodCard, Target, TargetKind

__all__ = [
    "COLORMAP",
    "OPACITIES",
    "CaptionMaps",
    "Check",
    "Map",
    "MethodCard",
    "RoughMap",
    "Target",
    "TargetKind",
    "Tile",
    "Verdict",
    "draw_contact_sheet",
    "paint",
    "read_progress",
    "to_levels",
]
