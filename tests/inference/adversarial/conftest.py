"""The small captioner with a picture, as the explanations have them."""

from tests.inference.conftest import captioner
from tests.inference.explanations.conftest import model, subject, subjects, tagged

__all__ = ["captioner", "model", "subject", "subjects", "tagged"]
