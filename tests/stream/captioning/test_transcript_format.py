"""Tests of how transcript lines are formatted."""

import json
import os
from dataclasses import replace
from pathlib import Path

import av
import pytest
from jsonschema import Draft202012Validator

from inference.captioning.caption import Caption
from stream.captioning.stream_captioner import CaptionedFrame
from stream.captioning.transcript import (
    TranscriptLine,
    check_writable,
    format_json_line,
    format_line,
    is_repeat,
)
from stream.data_channel.messages import SCHEMA_PATH
from stream.video.frame import Frame
from tests.support.captions import (
    confident_caption,
    shorter_fallback,
    tags_fallback,
    uncalibrated_caption,
)

GUESS = "A man in a blue shirt is sitting at a table"
DOG = confident_caption("A dog runs", dog=0.92, ball=0.81)
SCHEMA = json.loads(SCHEMA_PATH.read_text())
SERVER_MESSAGE = Draft202012Validator({"$ref": "#/$defs/server", "$defs": SCHEMA["$defs"]})


def line(position_s: float, caption: Caption, note: str = "") -> TranscriptLine:
    frame = Frame(av.VideoFrame(64, 48, "yuv420p"), 1.7e9 + position_s, note=note)
    return TranscriptLine(position_s, CaptionedFrame(frame, caption, (), 1.0, 1.0))


def test_text_has_confidence_and_tags() -> None:
    assert format_line(line(3, DOG)) == "  0:03.0  A dog runs  (72% sure; dog 92%, ball 81%)"
    assert format_line(line(63, confident_caption("A cat", 0.5))) == "  1:03.0  A cat  (50% sure)"


def test_text_of_an_uncalibrated_caption_has_no_percentage() -> None:
    caption = uncalibrated_caption("A dog runs")

    assert format_line(line(3, caption)) == "  0:03.0  A dog runs  (not calibrated)"


def test_text_says_that_a_caption_is_empty() -> None:
    caption = replace(uncalibrated_caption("A"), text="", words=())

    assert format_line(line(3, caption)) == (
        "  0:03.0  No caption for this frame.  (not calibrated)"
    )


def test_text_of_a_blank_frame_has_no_confidence() -> None:
    caption = replace(DOG, text="", words=(), tags=(), confidence=0.0, fallback="blank")

    assert format_line(line(3, caption)) == "  0:03.0  Nothing to describe: the frame is blank."


def test_text_of_a_low_confidence_caption_has_the_guess() -> None:
    assert format_line(line(0, tags_fallback(GUESS, laptop=0.93))) == (
        f"  0:00.0  Laptop  (31% sure of “{GUESS}”; laptop 93%)"
    )
    assert format_line(line(0, shorter_fallback("A man", GUESS))) == (
        f"  0:00.0  Not sure. Possibly: a man  (31% sure of “{GUESS}”)"
    )


def test_text_and_json_have_what_the_source_states_about_the_frame() -> None:
    noted = line(3, DOG, note="This is a horse")

    assert format_line(noted) == (
        "  0:03.0  A dog runs  (72% sure; dog 92%, ball 81%)  [This is a horse]"
    )
    assert json.loads(format_json_line(0, noted))["note"] == "This is a horse"


def test_a_kept_caption_is_a_repeat_unless_another_was_printed_before() -> None:
    kept = line(2, replace(DOG, kept=True))
    assert is_repeat(line(1, DOG), kept)
    assert not is_repeat(line(1, DOG), line(2, DOG))
    assert not is_repeat(line(1, confident_caption("A cat")), kept)
    assert not is_repeat(None, kept)


def test_json_has_everything() -> None:
    captions = [
        DOG,
        replace(DOG, kept=True),
        tags_fallback(GUESS, laptop=0.93),
        shorter_fallback("A man", GUESS),
    ]
    for seq, caption in enumerate(captions):
        values = json.loads(format_json_line(seq, line(seq, caption)))
        assert values.pop("position_s") == seq
        SERVER_MESSAGE.validate({"type": "caption", **values})
        assert values["tags"] == [{"text": tag.text, "prob": tag.prob} for tag in caption.tags]
        assert (values["fallback"], values["guess"]) == (caption.fallback, caption.guess)
        assert (values["confidence"], values["kept"]) == (caption.confidence, caption.kept)


def test_a_writability_check_changes_nothing(tmp_path: Path) -> None:
    kept, new = tmp_path / "kept.vtt", tmp_path / "new.vtt"
    kept.write_text("old text")

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (kept, new, pipe):
        check_writable(path)

    assert kept.read_text() == "old text"
    assert sorted(tmp_path.iterdir()) == [kept, pipe]
    for nowhere in (tmp_path, kept / "below.vtt", tmp_path / "none" / "x.vtt"):
        with pytest.raises(OSError, match=nowhere.name):
            check_writable(nowhere)
