"""The small captioner of the explanations' tests."""

from tests.inference.explanations.conftest import model, subject, subjects, tagged

__all__ = ["model", "subject", "subjects", "tagged"]
