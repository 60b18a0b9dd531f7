"""Sightline in Python programs and notebooks: captions of images, and maps of their words.

Nothing here loads TensorFlow until a captioner is loaded.
"""

from inference.api.captioner import Captioner
from inference.api.images import ImageInput
from inference.api.results import HeatMap, ImageCaption

__all__ = ["Captioner", "HeatMap", "ImageCaption", "ImageInput"]
