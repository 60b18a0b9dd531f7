import subprocess
import sys

import pytest
from pydantic import ValidationError

from inference.adversarial.findings import AdversarialParams


@pytest.mark.parametrize(
    "values",
    [
        {"norm": "l1"},
        {"epsilon_most": 0.0},
        {"epsilon_most": float("nan")},
        {"steps": 0},
        {"steps": 1000},
        {"draws": 0},
        {"segments": 1},
        {"epsilon_segment": 0},
        {"say": "x" * 100},
        {"seed": -1},
        {"epsilon": 3},
    ],
)
def test_invalid_params_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AdversarialParams.model_validate(values)


def test_params_round_trip_as_json() -> None:
    params = AdversarialParams(norm="l2", say="dog")

    assert AdversarialParams.model_validate_json(params.model_dump_json()) == params


def test_package_does_not_import_tensorflow() -> None:
    code = "import sys, inference.adversarial; sys.exit('tensorflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
