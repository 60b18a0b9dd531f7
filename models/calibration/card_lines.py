"""The lines of a captioner's README, its model card, that the figures of a calibration are in."""

from collections.abc import Callable, Mapping

from models.calibration.confidence import ConfidenceCalibration
from models.calibration.fit_confidence import BlankFigures, ConfidenceFigures
from models.calibration.fit_tags import TagFigures


def confidence_lines(
    calibration: ConfidenceCalibration,
    figures: Mapping[str, ConfidenceFigures],
    blank: BlankFigures,
) -> list[str]:
    """Return the table of the confidence and what follows it, in Markdown.

    Args:
        calibration: The calibration.
        figures: Of each dataset, by its name.
        blank: Of blank images.
    """
    rows: dict[str, Callable[[ConfidenceFigures], str]] = {
        "images": lambda each: f"{each.images:,}",
        "content words that are right": lambda each: _percent(each.words_right),
        "calibration error of their confidence (15 bins)": lambda each: f"{each.word_ece:.3f}",
        "the same if the probability of the next word is taken for it": lambda each: (
            f"{each.word_ece_before:.3f}"
        ),
        "right words above wrong ones (AUC): confidence / probability of the next word": (
            lambda each: f"{each.word_auc:.2f} / {each.word_auc_before:.2f}"
        ),
        "calibration error of the most probable next word, at temperature 1 / "
        f"{calibration.temperature:.2f}": lambda each: (
            f"{each.next_word_ece_before:.3f} / {each.next_word_ece:.3f}"
        ),
        "captions that are mostly right": lambda each: _percent(each.mostly_right),
        "calibration error of their confidence": lambda each: f"{each.confidence_ece:.3f}",
        "rank correlation of it with CIDEr (of the mean log-probability)": lambda each: (
            f"{each.confidence_cider:.2f} ({each.mean_log_prob_cider:.2f})"
        ),
        "captions below the threshold (with the fit as shipped)": lambda each: (
            f"{_percent(each.low_confidence, 1)} ({_percent(each.low_confidence_as_written, 1)})"
        ),
        "mostly right nevertheless": lambda each: _percent(each.low_confidence_mostly_right),
        "something is shown of them: tags or a part (without tags)": lambda each: (
            f"{_percent(each.fallback)} ({_percent(each.fallback_without_tags)})"
        ),
        "content words of that part that are right": lambda each: _percent(each.fallback_right),
    }
    table = _table(
        ["", *figures],
        [[title, *map(value, figures.values())] for title, value in rows.items()],
    )
    return [
        *table,
        "",
        f"- **Low confidence.** The threshold, {calibration.threshold:.2f}, is the tenth of all "
        "captions with the least confidence.",
        f"- **Blank images** (of one colour, a covered lens, noise in the dark) have no caption: a "
        f"rule recognises {blank.recognised} of the {blank.images}. The confidence of "
        f"{blank.low_confidence} of the other {blank.images - blank.recognised} (gradients and "
        "static) is below the threshold.",
    ]


def tag_lines(figures: Mapping[str, TagFigures]) -> list[str]:
    """Return the table of the tags, in Markdown.

    Args:
        figures: Of each dataset, by its name.
    """
    header = [
        "cross-validated on",
        "images",
        "precision",
        "without the commonest tag",
        "images with a tag",
        "calibration error before",
        "after",
    ]
    rows = [
        [
            name,
            f"{each.images:,}",
            _percent(each.precision),
            f"{_percent(each.precision_without_commonest)} (without “{each.commonest}”)",
            _percent(each.coverage),
            f"{each.ece_before:.3f}",
            f"{each.ece:.3f}",
        ]
        for name, each in figures.items()
    ]
    return _table(header, rows)


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
