"""Numbers, units and lists as they read in sentences and tables."""

import re
from collections.abc import Sequence

from inference.captioning import NOT_CALIBRATED
from inference.explanations import Check
from models.attacks import Norm

NORM_NAMES: dict[Norm, str] = {"linf": "L∞", "l2": "L2"}
NORM_UNITS: dict[Norm, str] = {"linf": "grey levels per pixel", "l2": "grey levels"}
ATTACK_NAMES = {"fgsm": "FGSM", "fab": "FAB", "pgd": "PGD"}

_MINUS = "\N{MINUS SIGN}"
_NOT_ALLOWED = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)
"""Control characters, surrogates and non-characters: XML forbids most of them, HTML discourages
all."""


def printable(text: str) -> str:
    """Replace characters that neither HTML nor XML may contain by U+FFFD."""
    return _NOT_ALLOWED.sub("\ufffd", text)


def attack_name(attack: str) -> str:
    """Return the name of an attack as in its paper."""
    return ATTACK_NAMES.get(attack, attack)


def epsilon_text(epsilon: float, norm: Norm) -> str:
    """Write the size of a perturbation: "0.4 grey levels per pixel", "61 grey levels in L2"."""
    unit = "grey level" if number(epsilon) == "1" else "grey levels"
    return f"{number(epsilon)} {unit} {'per pixel' if norm == 'linf' else 'in L2'}"


def number(value: float) -> str:
    """Write a number with two significant digits, or all digits before the decimal point.

    Below 0.00005 it is written as 0.
    """
    size = abs(value)
    digits = sum(size < least for least in (9.95, 0.995, 0.0995, 0.00995))
    written = f"{value:.{digits}f}"
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written == "-0" else written.replace("-", _MINUS)


def exact(value: float) -> str:
    """Write a parameter, which was chosen and not measured: up to four significant digits."""
    return f"{value:.4g}".replace("-", _MINUS)


def signed(value: float) -> str:
    """Write a number as `number` does, with its sign."""
    written = number(value)
    return f"+{written}" if value > 0 and written != "0" else written


def log_prob(value: float) -> str:
    """Write a log-probability in nats, with two digits after the decimal point."""
    return signed(round(value, 2)) if value > 0 else f"{value:.2f}".replace("-", _MINUS)


def percent(share: float) -> str:
    """Write a share of 0..1 as a percentage."""
    return f"{share:.0%}"


def confidence_text(confidence: float | None) -> str:
    """Write a caption's confidence; None is that of a captioner that is not calibrated."""
    if confidence is None:
        return f"confidence {NOT_CALIBRATED}"
    return f"{percent(confidence)} confidence"


def p_value(p: float) -> str:
    """Write a p-value with three digits after the decimal point."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def verdict_text(check: Check) -> str:
    """Write the verdict of a check: "holds up (p = 0.02)"."""
    if check.verdict == "holds up" and check.p is not None:
        return f"holds up (p {'< 0.01' if check.p < 0.005 else f'= {check.p:.2f}'})"
    return check.verdict.replace("cannot", "can't")


def quoted(words: str) -> str:
    """Put words in quotation marks."""
    return f"“{words}”"


def listed(items: Sequence[str]) -> str:
    """Join items: "a, b and c"."""
    *before, last = items
    return f"{', '.join(before)} and {last}" if before else last


def counted(count: int, singular: str, plural: str) -> str:
    """Write a number with its noun: "no words", "one word", "5 words"."""
    if count == 0:
        return f"no {plural}"
    return f"one {singular}" if count == 1 else f"{count} {plural}"


def capitalized(sentence: str) -> str:
    """Return a sentence with its first letter in upper case and the rest unchanged."""
    return f"{sentence[:1].upper()}{sentence[1:]}"
