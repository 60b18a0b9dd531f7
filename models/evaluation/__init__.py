"""TODO."""

from models.evaluation.captions import Searcher, caption_grids, caption_images
from models.evaluation.metrics import Scores, cider_by_image, score

__all__ = [
    "Scores",
    "Searcher",
    "caption_grids",
    "caption_images",
    "cider_by_image",
    "score",
]
