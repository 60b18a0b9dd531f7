"""The engine: runs the captioner in a worker process and implements the service streams use.

Only the server's side is exported here: `worker` and the job modules load TensorFlow.
"""

from inference.engine.engine import Engine
from inference.engine.service import (
    AnalysisKind,
    AnalysisParams,
    AnalysisResult,
    CaptionService,
    EngineBusy,
    EngineInfo,
    EngineState,
    EngineUnavailable,
    ExplanationResult,
    FrameTooOld,
    read_params,
)

__all__ = [
    "AnalysisKind",
    "AnalysisParams",
    "AnalysisResult",
    "CaptionService",
    "Engine",
    "EngineBusy",
    "EngineInfo",
    "EngineState",
    "EngineUnavailable",
    "ExplanationResult",
    "FrameTooOld",
    "read_params",
]
