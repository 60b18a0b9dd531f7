"""Cross-attention times gradient: where a word's reading of the image supported it."""

from typing import ClassVar

from inference.explanations import TargetKind
from inference.explanations.method import LiveMethod


class CrossAttentionGradient(LiveMethod):
    """A cross-attention layer's weights times the positive part of the gradient at them.

    The mean over the heads, without the class token. The gradient is that of the word's logit, and
    the weights are those with which the word is predicted. It is defined for decoders that are
    transformers: see `inference.captioners.blip.token_maps`, which states how ALBEF, BLIP and LAVIS
    define it and which layers they use. The setting `cross_attention_layer` chooses the layer.
    """

    name = "crossattention"
    title = "Cross-attention times gradient"
    paper = (
        "Li et al., Align before Fuse (ALBEF), NeurIPS 2021, and compute_gradcam of LAVIS, after "
        "Selvaraju et al., Grad-CAM, ICCV 2017"
    )
    cost = "one pass through the decoder and its gradient"
    unit = "logit"
    kinds: ClassVar[frozenset[TargetKind]] = frozenset({"word", "contrast", "caption"})
