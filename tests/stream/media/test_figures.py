"""Figures of media processes: as JSON, and as sums."""

import json

from stream.counters import Counters, StreamTotals
from stream.load import LoadLevel, Pressure
from stream.media.figures import MediaReport, MediaTotals
from stream.media.slot import Slot


def _report(received: int, age_s: float) -> MediaReport:
    counters = Counters()
    counters.caption_ages_s.observe(age_s)
    counters.unsent_captions = 1
    counters.add_stream(lambda: StreamTotals(received=received, captions=2))
    return MediaReport(
        MediaTotals.of(counters), 1, 2, LoadLevel.NO_WORD_MAPS, Pressure(0.4, 0.1), 3.5, 1000
    )


def test_a_report_survives_json() -> None:
    report = _report(7, 0.3)
    read = MediaReport.from_json(json.loads(json.dumps(report.to_json())))

    assert read.to_json() == report.to_json()
    assert read.level is LoadLevel.NO_WORD_MAPS
    assert read.totals.frames == StreamTotals(received=7, captions=2)
    assert read.totals.caption_ages_s.cumulative() == report.totals.caption_ages_s.cumulative()


def test_totals_of_a_slot_include_the_processes_that_ended_there() -> None:
    slot = Slot(1)
    slot.report = _report(7, 0.3)
    slot.on_gone()
    assert slot.totals.frames.received == 7
    assert (slot.report.live_streams, slot.level) == (0, LoadLevel.NORMAL)
    slot.report = _report(5, 4.0)

    assert slot.totals.frames.received == 12
    assert slot.totals.unsent_captions == 2
    assert slot.totals.caption_ages_s.total == 4.3
    assert slot.figures.cpu_s == 7.0
