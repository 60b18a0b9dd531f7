"""The explanation methods, one per module (variants of a method share one).

Importing this package loads TensorFlow.
"""

from inference.captioning.model import CaptionModel
from inference.explanations.method import Method
from inference.explanations.methods.attention import Attention
from inference.explanations.methods.cross_attention import CrossAttentionGradient
from inference.explanations.methods.grad_cam import GradCam, GradCamTotal, HiResCam, ReadCam
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.learned import LearnedMap
from inference.explanations.methods.occlusion import Occlusion
from inference.explanations.methods.rise import Rise
from inference.explanations.methods.saliency import Saliency, SmoothGrad

__all__ = ["METHODS", "available_methods"]

_METHODS: tuple[Method, ...] = (
    ReadCam(),
    CrossAttentionGradient(),
    GradCam(),
    HiResCam(),
    LearnedMap(),
    GradCamTotal(),
    Saliency(),
    SmoothGrad(),
    IntegratedGradients(),
    Occlusion(),
    Rise(),
    Attention(),
)

METHODS: dict[str, Method] = {method.name: method for method in _METHODS}
"""All methods by name, those of the shipped captioner's live maps first."""


def available_methods(model: CaptionModel) -> dict[str, Method]:
    """Return the methods that can explain a captioner's captions, its live method first."""
    available = [method for method in _METHODS if method.available(model)]
    available.sort(key=lambda method: method.name != model.live_method)
    return {method.name: method for method in available}
