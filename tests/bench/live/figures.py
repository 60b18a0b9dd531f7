"""The live benchmark's figures: the server's beside the echo's."""

import statistics

from tests.bench.figures import Figure, Summary, Target
from tests.bench.live_round import Round


def live_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    """Put together what the rounds against both servers measured, a pair of them side by side."""
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
            "frame rate as a part of the echo's",
            "",
            [[ours.returned_per_s / theirs.returned_per_s] for theirs, ours in pairs],
            "echo, 1/s",
            echo_rates,
            Target(0.97, at_least=True),
        ),
        Figure.over_rounds(
            "frames lost, of each round",
            "",
            [[len(r.lost)] for r in sightline],
            "echo",
            [[len(r.lost)] for r in echo],
        ),
        Figure.over_rounds(
            "delay of returned frames",
            "ms",
            [r.delays_ms for r in sightline],
            "echo",
            [r.delays_ms for r in echo],
        ),
        Figure.over_rounds(
            "added delay at the median",
            "ms",
            [[ours - theirs] for ours, theirs in zip(medians, echo_medians, strict=True)],
            "echo's median",
            [[median] for median in echo_medians],
            Target(5.0),
        ),
        Figure.over_rounds(
            "added delay at p95",
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
            "asked for",
            [[r.captions_asked_per_s] for r in sightline],
        ),
        Figure.over_rounds(
            "caption's age at the client",
            "ms",
            [r.ages_ms for r in sightline],
            "since the server had it",
            since_capture,
            Target(400.0, of="p95"),
        ),
        Figure.over_rounds(
            "caption's age since the server had it",
            "ms",
            since_capture,
            "preparing and captioning",
            [r.caption_timing_ms["total"] for r in sightline],
        ),
        Figure.over_rounds(
            "from sending until the server has it",
            "ms",
            [r.capture_ms for r in sightline],
            "echo, there and back",
            [r.delays_ms for r in echo],
        ),
    ]


def _callback_figures(echo: list[Round], sightline: list[Round]) -> list[Figure]:
    def of(rounds: list[Round], phase: str, clock: str, value: str) -> list[list[float]]:
        return [[r.callbacks[phase][clock].get(value, 0.0)] for r in rounds]

    wanted = [
        ("longest callback, streaming", "ms", "streaming", "wall", "most", Target(20.0, of="most")),
        ("longest callback, streaming, CPU", "ms", "streaming", "cpu", "most", None),
        ("callbacks' p99.9, streaming", "ms", "streaming", "wall", "p99.9", None),
        ("callbacks' p99.9, streaming, CPU", "ms", "streaming", "cpu", "p99.9", None),
        ("callbacks over 20 ms, streaming", "", "streaming", "wall", "long", None),
        ("callbacks over 20 ms, streaming, CPU", "", "streaming", "cpu", "long", None),
        ("longest callback, opening", "ms", "opening", "wall", "most", Target(20.0, of="most")),
        ("longest callback, opening, CPU", "ms", "opening", "cpu", "most", None),
        ("longest callback, closing", "ms", "closing", "wall", "most", Target(20.0, of="most")),
        ("longest callback, closing, CPU", "ms", "closing", "cpu", "most", None),
    ]
    return [
        Figure.over_rounds(
            name,
            unit,
            of(sightline, phase, clock, value),
            "echo",
            of(echo, phase, clock, value),
            target,
        )
        for name, unit, phase, clock, value, target in wanted
    ]
