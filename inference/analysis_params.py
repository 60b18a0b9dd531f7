"""What the analyses can be asked for, by their kind. Needs no TensorFlow."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from inference.adversarial.params import AdversarialParams
from inference.analysed import AnalysisKind
from inference.concepts.params import ConceptParams

Params = AdversarialParams | ConceptParams

_PARAMS: dict[AnalysisKind, type[Params]] = {
    "adversarial": AdversarialParams,
    "ace": ConceptParams,
}


def read_params(kind: AnalysisKind, values: Mapping[str, Any]) -> Params:
    """Read what a client asks for; what it leaves out is chosen.

    Raises:
        ValueError: If there is no such choice; the message names it and says what it may be.
    """
    try:
        return _PARAMS[kind].model_validate(values)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(": ".join(filter(None, (where, first["msg"])))) from problem
