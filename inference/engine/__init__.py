"""TODO."""

from inference.engine.connection import Progress
from inference.engine.engine import Engine
from inference.engine.service import (
    Analysed,
    AnalysisKind,
    Busy,
    CaptionService,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    Explained,
    Params,
    read_params,
)

__all__ = [
    "Analysed",
    "AnalysisKind",
    "Busy",
    "CaptionService",
    "Engine",
    "EngineInfo",
    "EngineState",
    "EngineUnavailable",
    "Explained",
    "Params",
    "Progress",
    "read_params",
]
