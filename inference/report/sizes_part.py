"""The smallest changes of the whole caption, what more of them does, and words on demand."""

from inference.adversarial import AdversarialFindings, Curve, Keyword, Smallest
from inference.report.charts import Series, line_chart, side_by_side
from inference.report.markup import Markup, element, join
from inference.report.tables import Column, table
from inference.report.wording import NORMS, attack_name, counted, given, log_prob, share
from inference.report.words_part import smallest_figure


def smallest_part(findings: AdversarialFindings) -> Markup:
    """Write the table of the smallest changes that change the caption."""
    columns = [
        Column("Attack"),
        Column("Norm"),
        Column("Smallest found", numbers=True),
        Column("What it says then"),
    ]
    caption = (
        "The smallest perturbation found that changes the caption, in grey levels. “>” before a "
        "figure: up to there none was found."
    )
    rows = [
        [attack_name(each.attack), NORMS[each.norm], smallest_figure(each), _then(each)]
        for each in findings.smallest
    ]
    return join(
        element("h3", "The smallest change"), table(caption, columns, rows, "The smallest change")
    )


def keywords_part(keywords: tuple[Keyword, ...]) -> Markup:
    """Write the table of words that it was made to say or to lose; nothing without any."""
    if not keywords:
        return Markup()
    columns = [
        Column("Aim"),
        Column("Attack"),
        Column("Norm"),
        Column("Smallest found", numbers=True),
        Column("What it says then"),
    ]
    rows = [
        [
            f"{each.aim} “{each.word}”",
            attack_name(each.smallest.attack),
            NORMS[each.smallest.norm],
            smallest_figure(each.smallest),
            _then(each.smallest),
        ]
        for each in keywords
    ]
    caption = (
        "The smallest perturbation found that makes the caption say a word, or lose one, in grey "
        "levels (Chen et al., ACL 2018)."
    )
    name = "Make it say a word, make it lose one"
    return join(element("h3", name), table(caption, columns, rows, name))


def curve_part(curve: Curve) -> Markup:
    """Draw how the caption changes as the perturbation grows, and write the same as a table."""
    heading = element("h3", "As the change grows")
    if not curve.epsilons:
        return join(heading, element("p", "There are no figures for it."))
    attack, norm = attack_name(curve.attack), NORMS[curve.norm]
    unit = "grey levels a pixel" if curve.norm == "linf" else "grey levels"
    size = f"epsilon in {norm}, {unit}"
    draws = counted(curve.draws, "draw", "draws")
    changed = line_chart(
        f"Share of the words that change, over {size}, by {attack} and by noise: the figures are "
        "in the table below.",
        curve.epsilons,
        size,
        "words changed, %",
        [
            Series(attack, _percent(curve.changed), "disc", "attack"),
            Series(f"noise, mean of {draws}", _percent(curve.noise_changed), "square", "noise"),
            Series("noise, the most of any", _percent(curve.noise_changed_most), "none", "most"),
        ],
    )
    probable = line_chart(
        f"Mean log-probability of the words of the caption, over {size}, by {attack} and by "
        "noise: the figures are in the table below.",
        curve.epsilons,
        size,
        "mean log p, nats",
        [
            Series(attack, curve.log_prob, "disc", "attack"),
            Series(f"noise, mean of {draws}", curve.noise_log_prob, "square", "noise"),
        ],
    )
    return join(
        heading,
        side_by_side(
            _titled("How much of the caption changes", changed),
            _titled("How likely its words remain", probable),
        ),
        _curve_table(curve, attack, f"{norm}, {unit}"),
    )


def _curve_table(curve: Curve, attack: str, unit: str) -> Markup:
    columns = [
        Column(f"epsilon ({unit})"),
        *(
            Column(title, numbers=True)
            for title in (
                f"Changed, {attack}",
                "Changed, noise",
                "Most of any noise",
                f"log p, {attack}",
                "log p, noise",
            )
        ),
    ]
    rows = [
        [given(size), share(a), share(b), share(c), log_prob(d), log_prob(e)]
        for size, a, b, c, d, e in zip(
            curve.epsilons,
            curve.changed,
            curve.noise_changed,
            curve.noise_changed_most,
            curve.log_prob,
            curve.noise_log_prob,
            strict=True,
        )
    ]
    caption = (
        f"The same as figures: the share of words changed, and the mean log-probability of the "
        f"words of the caption in nats, by {attack} and by random noise of the same norm "
        f"({counted(curve.draws, 'draw', 'draws')})."
    )
    return table(caption, columns, rows, "As the change grows")


def _percent(shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(100 * value for value in shares)


def _titled(title: str, chart: Markup) -> Markup:
    return element("figure", element("figcaption", title), chart)


def _then(smallest: Smallest) -> Markup:
    if smallest.epsilon is None:
        return element("span", "nothing found", class_="soft")
    return element("span", smallest.caption or "(no words)", lang="en")
