from typing import Any

import pytest

from inference.adversarial.findings import AdversarialParams
from inference.concepts.findings import ConceptParams
from inference.engine.service import AnalysisKind, read_params


def test_parameters_left_out_take_their_defaults() -> None:
    assert read_params("adversarial", {}) == AdversarialParams()
    assert read_params("ace", {"scope": "frames"}) == ConceptParams(scope="frames")


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        ("adversarial", {"norm": "l7"}, r"^norm: Input should be 'linf' or 'l2'$"),
        ("adversarial", {"scope": "bank"}, "^scope: Extra inputs"),
        ("ace", {"word": "two words"}, "^word: "),
        ("ace", {"scope": 7}, "^scope: "),
    ],
)
def test_an_invalid_parameter_is_named(
    kind: AnalysisKind, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        read_params(kind, values)
