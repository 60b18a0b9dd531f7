"""How firmly each word stands: the smallest changes that flip it, and its log-probability."""

from inference.adversarial import AdversarialFindings, Smallest, WordFindings
from inference.report.charts import Form, Series, row_chart, side_by_side
from inference.report.markup import Content, Markup, element, join
from inference.report.tables import Column, table
from inference.report.wording import NORMS, attack_name, figure, log_prob
from models.attacks import Norm

_LOOKS: dict[str, tuple[Form, str]] = {"pgd": ("disc", "attack"), "fgsm": ("square", "noise")}
"""Of each attack's marks: form and role."""
_UNITS: dict[Norm, str] = {"linf": "grey levels a pixel", "l2": "grey levels"}


def words_part(findings: AdversarialFindings) -> Markup:
    """Write the table of words, with charts of it."""
    words = findings.words
    heading = element("h3", "Word by word")
    if not words:
        return join(heading, element("p", "The caption has no words."))
    attacks = list(dict.fromkeys((s.attack, s.norm) for word in words for s in word.smallest))
    hardened = any(word.log_prob_hardened is not None for word in words)
    columns = [
        Column("Word"),
        *(Column(_named(attack, norm), numbers=True) for attack, norm in attacks),
        Column("Becomes"),
        *(Column(f"log p, {of}", numbers=True) for of in ("clean", "attacked", "noise")),
        *([Column("log p, hardened", numbers=True)] if hardened else []),
        *([Column("Fragile")] if hardened else []),
        Column("Regions", numbers=True),
    ]
    count = findings.regions.count
    rows = [_row(word, attacks, count, hardened=hardened) for word in words]
    caption = (
        "For each word, the smallest change found that makes another likelier in its place "
        f"({_units(attacks)}), and its log-probability, given the words before it, in nats. "
        "“>” before a figure: up to there none was found. The last column counts the regions "
        "of the picture that alone can flip the word."
    )
    charts = [_sizes(words, attacks), _log_probs(words, hardened=hardened)]
    return join(heading, side_by_side(*charts), table(caption, columns, rows, "Word by word"))


def _row(
    word: WordFindings, attacks: list[tuple[str, Norm]], regions: int, *, hardened: bool
) -> list[Content]:
    found = {(each.attack, each.norm): each for each in word.smallest}
    fragile = element("mark", "fragile") if word.fragile else "no"
    return [
        word.text,
        *(smallest_figure(found.get(attack)) for attack in attacks),
        becomes(word),
        log_prob(word.log_prob),
        log_prob(word.log_prob_attacked),
        log_prob(word.log_prob_noise),
        *([_optional(word.log_prob_hardened), fragile] if hardened else []),
        f"{len(word.regions)} of {regions}",
    ]


def becomes(word: WordFindings) -> str:
    """Write what a word becomes, which may be the end of the caption."""
    if all(each.epsilon is None for each in word.smallest):
        return "not flipped"
    return word.becomes or "(the end)"


def smallest_figure(smallest: Smallest | None) -> str:
    """Write the smallest epsilon, or up to where there was none."""
    if smallest is None:
        return "not tried"
    if smallest.epsilon is None:
        return f"> {figure(smallest.largest)}"
    return figure(smallest.epsilon)


def _sizes(words: tuple[WordFindings, ...], attacks: list[tuple[str, Norm]]) -> Markup:
    """Of one norm: those of two have no common scale."""
    norm: Norm = "linf" if any(norm == "linf" for _, norm in attacks) else "l2"
    series = []
    for attack in (attack for attack, of in attacks if of == norm):
        values = tuple(_epsilon(word, attack, norm) for word in words)
        form, role = _LOOKS.get(attack, ("diamond", "hardened"))
        series.append(Series(attack_name(attack), values, form, role))
    if not any(value is not None for each in series for value in each.values):
        return Markup()
    title = f"Smallest change that flips the word, {_UNITS[norm]} ({NORMS[norm]})"
    label = f"{title}: the figures are in the table below."
    return _titled(title, row_chart(label, [word.text for word in words], _UNITS[norm], series))


def _log_probs(words: tuple[WordFindings, ...], *, hardened: bool) -> Markup:
    series = [
        # Below the disc of the clean picture, which often is where it is.
        Series("noise", tuple(word.log_prob_noise for word in words), "square", "noise"),
        Series("clean", tuple(word.log_prob for word in words), "disc", "clean"),
        Series("attacked", tuple(word.log_prob_attacked for word in words), "triangle", "attack"),
    ]
    if hardened:
        values = tuple(word.log_prob_hardened for word in words)
        series.append(Series("attacked, hardened decoder", values, "diamond", "hardened"))
    title = "Log-probability of the word"
    label = f"{title}: the figures are in the table below."
    return _titled(
        title, row_chart(label, [word.text for word in words], "nats; 0 is certain", series)
    )


def _titled(title: str, chart: Markup) -> Markup:
    return element("figure", element("figcaption", title), chart)


def _epsilon(word: WordFindings, attack: str, norm: Norm) -> float | None:
    for each in word.smallest:
        if (each.attack, each.norm) == (attack, norm):
            return each.epsilon
    return None


def _named(attack: str, norm: Norm) -> str:
    return f"{attack_name(attack)}, {NORMS[norm]}"


def _units(attacks: list[tuple[str, Norm]]) -> str:
    norms = dict.fromkeys(norm for _, norm in attacks)
    return "; ".join(f"{NORMS[norm]} in {_UNITS[norm]}" for norm in norms)


def _optional(value: float | None) -> str:
    return "unknown" if value is None else log_prob(value)
