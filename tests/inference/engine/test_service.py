from typing import Any

import pytest

from inference.adversarial.findings import AdversarialParams
from inference.concepts.findings import ConceptParams
from inference.engine.service import AnalysisKind, read_params


def test_what_is_left_out_is_chosen() -> None:
    assert read_params("adversarial", {}) == AdversarialParams()
    assert read_params("ace", {"scope": "frames"}) == ConceptParams(scope="frames")


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("adversarial", {"norm": "l7"}, r"^norm: Input should be 'linf' or 'l2'$"),
        ("adversarial", {"scope": "bank"}, "^scope: Extra inputs"),
        ("ace", {"word": "two words"}, "^word: "),
        ("ace", {"scope": 7}, "^scope: "),
    ],
)
def test_a_choice_that_there_is_not_is_named(
    kind: AnalysisKind, values: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        read_params(kind, values)
