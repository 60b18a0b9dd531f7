"""A captioned image whose captioner's parts a test may look into."""

from inference.captioners.lstm import LstmCaptionModel
from inference.explanations.captioned_image import CaptionedImage


class LstmCaptionedImage(CaptionedImage):
    """An image with a caption by one of Sightline's own captioners."""

    model: LstmCaptionModel
