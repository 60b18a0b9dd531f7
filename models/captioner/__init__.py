"""TODO."""

from models.captioner.beam_search import BeamCaption, BeamConfig, silencing
from models.captioner.captioner import Captioner, CaptionerConfig
from models.captioner.decoder import Decoder, DecoderConfig, State
from models.captioner.teacher_forcing import tell

__all__ = [
    "BeamCaption",
    "BeamConfig",
    "Captioner",
    "CaptionerConfig",
    "Decoder",
    "DecoderConfig",
    "State",
    "silencing",
    "tell",
]
