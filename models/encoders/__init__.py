"""Image encoders: EfficientNet-Lite and EfficientNetV2, and their pretrained weights."""

from models.encoders.pretrained import CLASSES, load_pretrained
from models.encoders.registry import check_image_size, make_encoder, own_image_size

__all__ = [
    "CLASSES",
    "check_image_size",
    "load_pretrained",
    "make_encoder",
    "own_image_size",
]
