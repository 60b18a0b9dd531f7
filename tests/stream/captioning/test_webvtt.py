"""Tests of transcripts as WebVTT files."""

from dataclasses import replace
from pathlib import Path

from stream.captioning.webvtt import WebVttWriter
from tests.stream.captioning.test_transcript_format import DOG, GUESS, line
from tests.support.captions import confident_caption, tags_fallback


def test_a_cue_states_low_confidence_and_lasts_while_its_caption_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    with WebVttWriter(path, 1) as writer:
        writer.add(line(0, DOG))
        writer.add(line(1, replace(DOG, kept=True)))
        writer.add(line(2, tags_fallback(GUESS, laptop=0.93)))
        writer.add(line(3, replace(tags_fallback(GUESS, laptop=0.93), kept=True)))

    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nA dog runs\n"
        "\n00:00:02.000 --> 00:00:04.000\nLaptop\n"
    )


def test_captions_with_the_same_text_share_a_cue_whatever_their_confidence(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    with WebVttWriter(path, 1) as writer:
        for position, caption in enumerate(
            (DOG, confident_caption("A dog runs", 0.5), confident_caption("A cat runs"))
        ):
            writer.add(line(position, caption))

    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nA dog runs\n"
        "\n00:00:02.000 --> 00:00:03.000\nA cat runs\n"
    )
