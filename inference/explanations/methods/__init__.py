"""The explanation methods, one per module (variants of a method share one).

Importing this package loads TensorFlow.
"""

from inference.explanations.live import LIVE_METHOD
from inference.explanations.method import Method
from inference.explanations.methods.attention import Attention
from inference.explanations.methods.grad_cam import GradCam, GradCamTotal, HiResCam, ReadCam
from inference.explanations.methods.integrated_gradients import IntegratedGradients
from inference.explanations.methods.occlusion import Occlusion
from inference.explanations.methods.rise import Rise
from inference.explanations.methods.saliency import Saliency, SmoothGrad

__all__ = ["METHODS"]

_METHODS: tuple[Method, ...] = (
    GradCam(),
    ReadCam(),
    HiResCam(),
    GradCamTotal(),
    Saliency(),
    SmoothGrad(),
    IntegratedGradients(),
    Occlusion(),
    Rise(),
    Attention(),
)

METHODS: dict[str, Method] = {
    method.name: method
    for method in sorted(_METHODS, key=lambda method: method.name != LIVE_METHOD)
}
"""All methods by name. The method of the maps that come with each caption is the first."""
