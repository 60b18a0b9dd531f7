"""How figures and lists read in sentences."""

from collections.abc import Sequence

from models.attacks import Norm

NORMS: dict[Norm, str] = {"linf": "L∞", "l2": "L2"}
ATTACKS = {"fgsm": "FGSM", "pgd": "PGD"}
UNSEEN = 2.0
"""Grey levels: what changes by no more in any place is not seen, on a usual screen."""
HARDLY_SEEN = 8.0
"""The customary bound of perturbations that are called imperceptible, 8/255."""


def attack_name(attack: str) -> str:
    """Name an attack as its paper does."""
    return ATTACKS.get(attack, attack)


def amount(epsilon: float, norm: Norm) -> str:
    """Write a perturbation's size in full: "0.4 grey levels a pixel", "61 grey levels in L2"."""
    unit = "grey level" if figure(epsilon) == "1" else "grey levels"
    return f"{figure(epsilon)} {unit} {'a pixel' if norm == 'linf' else 'in L2'}"


def figure(value: float) -> str:
    """Write a number with two significant digits, and as many more as it has before the point."""
    size = abs(value)
    digits = 0 if size >= 9.95 else 1 if size >= 0.995 else 2 if size >= 0.0995 else 3
    written = f"{value:.{digits}f}"
    written = written.rstrip("0").rstrip(".") if "." in written else written
    return "0" if written in ("-0", "") else written.replace("-", "\N{MINUS SIGN}")


def given(value: float) -> str:
    """Write a number that was chosen, and not measured, as it is."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    """Write a number as `figure` does, with its sign."""
    written = figure(value)
    return f"+{written}" if value > 0 and written != "0" else written


def log_prob(value: float) -> str:
    """Write a log-probability in nats, with two digits after the point."""
    return signed(round(value, 2)) if value > 0 else f"{value:.2f}".replace("-", "\N{MINUS SIGN}")


def share(value: float) -> str:
    """Write a share of 0..1 in per cent."""
    return f"{value:.0%}"


def quoted(words: str) -> str:
    """Put words between quotation marks."""
    return f"“{words}”"


def listed(items: Sequence[str]) -> str:
    """Join items: "a, b and c"."""
    *before, last = items
    return f"{', '.join(before)} and {last}" if before else last


def counted(number: int, one: str, more: str) -> str:
    """Write a number with its noun: "no word", "one word", "5 words"."""
    if number == 0:
        return f"no {one}"
    return f"one {one}" if number == 1 else f"{number} {more}"
