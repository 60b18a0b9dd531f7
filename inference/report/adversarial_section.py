"""The section of a report on how easily the captioner is fooled: its images, charts and rows."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from inference.adversarial import (
    AdversarialFindings,
    Regions,
    SmallestPerturbation,
    WordFindings,
)
from inference.report.formatting import (
    NORM_NAMES,
    NORM_UNITS,
    attack_name,
    counted,
    epsilon_text,
    number,
)
from inference.report.images import ReportImage, highlight_regions
from inference.report.summary import summarize

_MOST_REGION_IMAGES = 8
"""Words whose regions are shown in an image."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of the page."""

    title: str
    svg: Markup


class AdversarialSection:
    """What the template `adversarial.html.jinja` shows beside the findings themselves."""

    def __init__(self, findings: AdversarialFindings, shape: tuple[int, int]) -> None:
        """Prepare the section; images and charts are drawn when the template reaches them.

        Args:
            findings: About an image.
            shape: Its height and width, in whose ratio all images are shown.
        """
        self.findings, self.shape = findings, shape
        self.headline, *self.lead = summarize(findings)
        attacked = findings.attacked
        size = epsilon_text(attacked.epsilon, attacked.norm)
        self.attack = f"{attack_name(attacked.attack)}, {size}"
        self.fragile = {word.index for word in findings.words if word.fragile}
        self.has_hardened = findings.comparison.has_hardened
        self.compared_size = epsilon_text(findings.comparison.epsilon, "linf")
        self.flipped = [word for word in findings.words if word.regions]
        clean = findings.pictures.get("clean")
        self.side = None if clean is None else f"{clean.shape[1]} by {clean.shape[0]} pixels"
        self.one_level_in_l2 = None if clean is None else math.sqrt(clean.size)

    def changes(self) -> str:
        """Describe in a sentence or two how far the captions differ."""
        attacked = self.findings.attacked
        edits = sum(edit.kind != "kept" for edit in attacked.diff)
        if not edits:
            return "The caption of the attacked image is the same, word for word."
        share = min(1.0, edits / max(1, len(attacked.clean.split())))
        counts = counted(edits, "word edit", "word edits")
        sentence = f"f(x) and f(x+d) differ by {counts} ({share:.0%} of the caption's words)."
        return sentence

    def rounding(self) -> str:
        """Say what is left of the attack in an image of 8 bits; nothing if none was found."""
        if self.findings.smallest[0].epsilon is None:
            return ""
        rounding = self.findings.attacked.rounding
        if rounding.survives:
            first = (
                "Rounded to whole grey levels, as an image file stores them, the attack survives."
            )
        else:
            first = (
                "Rounded to whole grey levels, as an image file stores them, the attack is lost: "
                "the caption is the original one again."
            )
        if rounding.whole_levels is None:
            return f"{first} No change in whole grey levels was found."
        levels = counted(rounding.whole_levels, "whole grey level", "whole grey levels")
        return f"{first} A change of {levels} in the same direction suffices."

    def harmless(self) -> list[tuple[str, str]]:
        """List harmless changes, and the caption after each or that it is the same."""
        return [
            (each.name, each.caption if each.changed else "the same")
            for each in self.findings.harmless
        ]

    def chance(self) -> str:
        """Say how many of the words called fragile are so by chance."""
        comparison = self.findings.comparison
        if comparison.by_chance is None:
            return "How many words would be called fragile by chance was not measured."
        return (
            f"About {comparison.by_chance:.0%} of the words called fragile are so by chance, "
            f"measured on {counted(comparison.measured_on, 'image', 'images')}."
        )

    def images(self) -> Iterator[ReportImage]:
        """Show the clean and the attacked image, the perturbation, and both maps."""
        times = f"{number(self.findings.magnified)} times"
        legends = {
            "clean": ("Image as the captioner gets it", "Clean", ""),
            "attacked": (f"Attacked image: {self.attack}", "Attacked", self.attack),
            "perturbation": (
                f"Perturbation, magnified {times} around grey",
                "Perturbation",
                f"magnified {times}; grey is no change",
            ),
            "map-before": (
                "Map of what the caption of the clean image was based on",
                "Map before",
                "what f(x) was based on",
            ),
            "map-after": (
                "Map of what the caption of the attacked image was based on",
                "Map after",
                "what f(x+d) was based on",
            ),
        }
        for name, (alt, title, note) in legends.items():
            if name in self.findings.pictures:
                yield ReportImage(self.findings.pictures[name], alt, title, note, shape=self.shape)

    def region_images(self) -> Iterator[ReportImage]:
        """Show all regions, and for some words those that change the word on their own."""
        pictures, regions = self.findings.pictures, self.findings.regions
        if "regions" in pictures:
            alt = f"Image with the outlines of its {regions.count} regions"
            yield ReportImage(pictures["regions"], alt, "All regions", shape=self.shape)
        if "clean" not in pictures:
            return
        for word in self.flipped[:_MOST_REGION_IMAGES]:
            yield ReportImage(
                highlight_regions(pictures["clean"], regions.labels, word.regions),
                f"Regions that change “{word.text}” on their own: {self.region_names(word)}",
                word.text,
                f"{len(word.regions)} of {regions.count}",
                shape=self.shape,
            )

    def region_names(self, word: WordFindings) -> str:
        """Name the regions that change a word by their positions: "3 (top left), 7 (centre)"."""
        return region_names(self.findings.regions, word.regions)

    def becomes(self, word: WordFindings) -> str:
        """Return what a word becomes, which may be the end of the caption."""
        if word.smallest.epsilon is None:
            return "unchanged"
        return word.becomes or "(end)"

    def smallest_text(self, smallest: SmallestPerturbation) -> str:
        """Write the smallest epsilon found, or the limit up to which none was found."""
        if smallest.epsilon is None:
            return f"> {number(smallest.largest)}"
        return number(smallest.epsilon)

    def word_charts(self) -> Iterator[Chart]:
        """Draw the smallest perturbation and the log-probabilities of each word."""
        from inference.report.charts import Series, row_chart

        words = self.findings.words
        names = [word.text for word in words]
        norm = self.findings.attacked.norm
        sizes = tuple(word.smallest.epsilon for word in words)
        if any(value is not None for value in sizes):
            title = f"Smallest change of each word ({NORM_NAMES[norm]})"
            series = [Series("smallest found", sizes, "pgd")]
            yield Chart(title, row_chart(_alt(title), names, NORM_UNITS[norm], series))
        series = [
            # Below the mark of the clean image, which is often in the same place.
            Series("noise", tuple(word.log_prob_noise for word in words), "noise"),
            Series("clean", tuple(word.log_prob for word in words), "clean"),
            Series("attacked", tuple(word.log_prob_attacked for word in words), "attacked"),
        ]
        hardened = tuple(word.log_prob_hardened for word in words)
        if any(value is not None for value in hardened):
            series.append(Series("attacked, hardened model", hardened, "hardened"))
        title = "Log-probability of each word"
        yield Chart(title, row_chart(_alt(title), names, "nats; 0 is certain", series))

    def curve_charts(self) -> Iterator[Chart]:
        """Draw how much of the caption changes, and how likely it stays, over epsilon."""
        from inference.report.charts import Series, line_chart

        curve = self.findings.curve
        attack = attack_name(curve.attack)
        noise = f"noise, mean of {counted(curve.draws, 'draw', 'draws')}"
        size = f"epsilon in {NORM_NAMES[curve.norm]}, {NORM_UNITS[curve.norm]}"
        title = "Share of words changed"
        series = [
            Series(attack, _percentages(curve.changed), "pgd"),
            Series(noise, _percentages(curve.noise_changed), "noise"),
            Series("noise, maximum", _percentages(curve.noise_changed_most), "noise-max"),
        ]
        yield Chart(
            title,
            line_chart(_alt(title), curve.epsilons, size, "words changed, %", series, (0, 100)),
        )
        title = "Mean log-probability of the original words"
        series = [
            Series(attack, curve.log_prob, "pgd"),
            Series(noise, curve.noise_log_prob, "noise"),
        ]
        yield Chart(
            title, line_chart(_alt(title), curve.epsilons, size, "mean log p, nats", series)
        )


def region_names(regions: Regions, labels: tuple[int, ...]) -> str:
    """Name regions by the positions of their centres: "3 (top left), 7 (centre)"."""
    return ", ".join(f"{label} ({_position(regions.labels, label)})" for label in labels)


def _position(labels: NDArray[np.int32], label: int) -> str:
    rows, columns = np.nonzero(labels == label)
    if not len(rows):
        return "nowhere"
    height, width = labels.shape
    vertical = ("top", "", "bottom")[min(2, int(3 * (rows.mean() + 0.5) / height))]
    horizontal = ("left", "", "right")[min(2, int(3 * (columns.mean() + 0.5) / width))]
    return f"{vertical} {horizontal}".strip() or "centre"


def _percentages(shares: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(100 * share for share in shares)


def _alt(title: str) -> str:
    return f"{title}. The numbers are in the table below."
