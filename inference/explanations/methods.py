"""Every method by name, that of the maps that come with each caption first."""

from inference.explanations.attention import Attention
from inference.explanations.gradcam import GradCam
from inference.explanations.gradcam_total import GradCamTotal
from inference.explanations.hirescam import HiResCam
from inference.explanations.integrated_gradients import IntegratedGradients
from inference.explanations.live import LIVE
from inference.explanations.method import Method
from inference.explanations.occlusion import Occlusion
from inference.explanations.readcam import ReadCam
from inference.explanations.rise import Rise
from inference.explanations.saliency import Saliency
from inference.explanations.smoothgrad import SmoothGrad

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
    method.name: method for method in sorted(_METHODS, key=lambda method: method.name != LIVE)
}
