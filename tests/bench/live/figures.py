"""Figures of the live benchmark, with the echo server as the baseline."""

import statistics

from tests.bench.figures import Figure, Summary, Target
from tests.bench.live.callbacks import MAX_CALLBACK_MS
from tests.bench.live.round import Round


def live_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    """Compute the figures from rounds with the echo server and rounds with Sightline, in pairs."""
    return [
        *_video_figures(echo, sightline),
        *_caption_figures(echo, sightline),
        *_callback_figures(echo, sightline),
    ]


def _video_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    pairs = list(zip(echo, sightline, strict=True))
    rates, echo_rates = ([[r.returned_per_s] for r in rounds] for rounds in (sightline, echo))
    medians, echo_medians = (
        [statistics.median(r.delays_ms) for r in rounds] for rounds in (sightline, echo)
    )
    tails, echo_tails = (
        [Summary.of(r.delays_ms).p95 for r in rounds] for rounds in (sightline, echo)
    )
    return [
        Figure.over_rounds("returned frames", "1/s", rates, "echo", echo_rates),
        Figure.over_rounds(
            "frame rate relative to the echo",
            "",
            [[ours.returned_per_s / theirs.returned_per_s] for theirs, ours in pairs],
            "echo, 1/s",
            echo_rates,
            Target(0.97, at_least=True),
        ),
        Figure.over_rounds(
            "lost frames per round",
            "",
            [[len(r.lost)] for r in sightline],
            "echo",
            [[len(r.lost)] for r in echo],
        ),
        Figure.over_rounds(
            "round-trip delay of frames",
            "ms",
            [r.delays_ms for r in sightline],
            "echo",
            [r.delays_ms for r in echo],
        ),
        Figure.over_rounds(
            "added delay, median",
            "ms",
            [[ours - theirs] for ours, theirs in zip(medians, echo_medians, strict=True)],
            "echo's median",
            [[median] for median in echo_medians],
            Target(5.0),
        ),
        Figure.over_rounds(
            "added delay, p95",
            "ms",
            [[ours - theirs] for ours, theirs in zip(tails, echo_tails, strict=True)],
            "echo's p95",
            [[tail] for tail in echo_tails],
            Target(33.0),
        ),
    ]


def _caption_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    since_capture = [r.ages_since_capture_ms for r in sightline]
    return [
        Figure.over_rounds(
            "captions",
            "1/s",
            [[r.captions_per_s] for r in sightline],
            "configured",
            [[r.configured_captions_per_s] for r in sightline],
        ),
        Figure.over_rounds(
            "age of captions at the client",
            "ms",
            [r.ages_ms for r in sightline],
            "since capture",
            since_capture,
            Target(400.0, statistic="p95"),
        ),
        Figure.over_rounds(
            "age of captions since capture",
            "ms",
            since_capture,
            "preparation and captioning",
            [r.caption_timing_ms["total"] for r in sightline],
        ),
        Figure.over_rounds(
            "from sending to capture",
            "ms",
            [r.capture_ms for r in sightline],
            "echo, round trip",
            [r.delays_ms for r in echo],
        ),
    ]


def _callback_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    def values(rounds: list[Round], phase: str, clock: str, key: str) -> list[list[float]]:
        return [[r.callbacks[phase][clock].get(key, 0.0)] for r in rounds]

    limit = Target(MAX_CALLBACK_MS, statistic="maximum")
    rows = [
        ("longest callback, streaming", "ms", "streaming", "wall", "maximum", limit),
        ("longest callback, streaming, CPU", "ms", "streaming", "cpu", "maximum", None),
        ("p99.9 of callbacks, streaming", "ms", "streaming", "wall", "p99.9", None),
        ("p99.9 of callbacks, streaming, CPU", "ms", "streaming", "cpu", "p99.9", None),
        ("callbacks over 20 ms, streaming", "", "streaming", "wall", "too_long", None),
        ("callbacks over 20 ms, streaming, CPU", "", "streaming", "cpu", "too_long", None),
        ("longest callback, opening", "ms", "opening", "wall", "maximum", limit),
        ("longest callback, opening, CPU", "ms", "opening", "cpu", "maximum", None),
        ("longest callback, closing", "ms", "closing", "wall", "maximum", limit),
        ("longest callback, closing, CPU", "ms", "closing", "cpu", "maximum", None),
    ]
    return [
        Figure.over_rounds(
            name,
            unit,
            values(sightline, phase, clock, key),
            "echo",
            values(echo, phase, clock, key),
            target,
        )
        for name, unit, phase, clock, key, target in rows
    ]
