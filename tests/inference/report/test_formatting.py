import pytest

from inference.report.formatting import counted, epsilon_text, listed, log_prob, number, signed


@pytest.mark.parametrize(
    ("value", "written"),
    [
        *(
            (0.4, "0.4"),
            (0.0159, "0.016"),
            (0.00042, "0.0004"),
            (1.0, "1"),
            (5.06, "5.1"),
            (104.4, "104"),
            (0, "0"),
        ),
        *((-0.69, "\N{MINUS SIGN}0.69"), (-0.00001, "0")),
    ],
)
def test_numbers_have_two_significant_digits(value: float, written: str) -> None:
    assert number(value) == written


def test_signs_are_written_where_they_matter() -> None:
    assert [signed(value) for value in (0.5, -0.5, 0.00001)] == ["+0.5", "\N{MINUS SIGN}0.5", "0"]
    assert log_prob(-0.4) == "\N{MINUS SIGN}0.40"


def test_sizes_of_perturbations_have_a_unit() -> None:
    assert epsilon_text(1.0, "linf") == "1 grey level per pixel"
    assert epsilon_text(61.2, "l2") == "61 grey levels in L2"


def test_lists_and_counts_read_as_in_a_sentence() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert [counted(n, "word", "words") for n in (0, 1, 2)] == ["no words", "one word", "2 words"]
