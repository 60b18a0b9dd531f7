"""The captioner: image encoder, attention decoder, beam search and teacher forcing."""

from models.captioner.beam_search import BeamCaption, BeamConfig, forbidden_token_bias
from models.captioner.captioner import Captioner, CaptionerConfig
from models.captioner.decoder import Decoder, DecoderConfig, State
from models.captioner.teacher_forcing import teacher_forced_captions, teacher_forced_scores

__all__ = [
    "BeamCaption",
    "BeamConfig",
    "Captioner",
    "CaptionerConfig",
    "Decoder",
    "DecoderConfig",
    "State",
    "forbidden_token_bias",
    "teacher_forced_captions",
    "teacher_forced_scores",
]
