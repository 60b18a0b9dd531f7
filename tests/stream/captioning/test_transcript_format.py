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
    WebVtt,
    check_writable,
    json_line,
    lasts_on,
    line_for_people,
)
from stream.data_channel.messages import SCHEMA_PATH
from stream.video.frame import Frame
from tests.support.captions import objects_only, shorter, sure

GUESS = "A man in a blue shirt is sitting at a table"
DOG = sure("A dog runs", dog=0.92, ball=0.81)
SCHEMA = json.loads(SCHEMA_PATH.read_text())
SERVER_MESSAGE = Draft202012Validator({"$ref": "#/$defs/server", "$defs": SCHEMA["$defs"]})


def line(position_s: float, caption: Caption) -> TranscriptLine:
    frame = Frame(av.VideoFrame(64, 48, "yuv420p"), 1.7e9 + position_s)
    return TranscriptLine(position_s, CaptionedFrame(frame, caption, (), 1.0, 1.0))


def test_people_read_how_sure_it_is_and_of_which_objects() -> None:
    assert line_for_people(line(3, DOG)) == "  0:03.0  A dog runs  (72% sure; dog 92%, ball 81%)"
    assert line_for_people(line(63, sure("A cat", 0.5))) == "  1:03.0  A cat  (50% sure)"


def test_people_read_what_is_left_of_a_doubtful_caption_and_the_guess() -> None:
    assert line_for_people(line(0, objects_only(GUESS, laptop=0.93))) == (
        f"  0:00.0  Not sure. Perhaps: laptop  (31% sure of “{GUESS}”; laptop 93%)"
    )
    assert line_for_people(line(0, shorter("A man", GUESS))) == (
        f"  0:00.0  Not sure. Perhaps: a man  (31% sure of “{GUESS}”)"
    )


def test_a_kept_caption_lasts_on_unless_it_is_new_to_the_reader() -> None:
    kept = line(2, replace(DOG, kept=True))
    assert lasts_on(line(1, DOG), kept)
    assert not lasts_on(line(1, DOG), line(2, DOG))
    assert not lasts_on(line(1, sure("A cat")), kept)
    assert not lasts_on(None, kept)


def test_programs_read_all_of_it() -> None:
    captions = [
        DOG,
        replace(DOG, kept=True),
        objects_only(GUESS, laptop=0.93),
        shorter("A man", GUESS),
    ]
    for seq, caption in enumerate(captions):
        values = json.loads(json_line(seq, line(seq, caption)))
        assert values.pop("position_s") == seq
        SERVER_MESSAGE.validate({"type": "caption", **values})
        assert values["tags"] == [{"text": tag.text, "prob": tag.prob} for tag in caption.tags]
        assert (values["fallback"], values["guess"]) == (caption.fallback, caption.guess)
        assert (values["confidence"], values["kept"]) == (caption.confidence, caption.kept)


def test_subtitles_own_up_to_doubt_and_last_while_a_caption_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    with WebVtt(path, 1) as vtt:
        vtt.add(line(0, DOG))
        vtt.add(line(1, replace(DOG, kept=True)))
        vtt.add(line(2, objects_only(GUESS, laptop=0.93)))
        vtt.add(line(3, replace(objects_only(GUESS, laptop=0.93), kept=True)))

    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nA dog runs\n"
        "\n00:00:02.000 --> 00:00:04.000\nNot sure. Perhaps: laptop\n"
    )


def test_captions_that_say_the_same_are_one_subtitle_however_sure_they_are(tmp_path: Path) -> None:
    path = tmp_path / "captions.vtt"
    with WebVtt(path, 1) as vtt:
        for position, caption in enumerate((DOG, sure("A dog runs", 0.5), sure("A cat runs"))):
            vtt.add(line(position, caption))

    assert path.read_text() == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nA dog runs\n"
        "\n00:00:02.000 --> 00:00:03.000\nA cat runs\n"
    )


def test_whether_a_file_can_be_written_is_told_and_costs_nothing(tmp_path: Path) -> None:
    kept, new = tmp_path / "kept.vtt", tmp_path / "new.vtt"
    kept.write_text("of another day")

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    for path in (kept, new, pipe):
        check_writable(path)

    assert kept.read_text() == "of another day"
    assert sorted(tmp_path.iterdir()) == [kept, pipe]
    for nowhere in (tmp_path, kept / "below.vtt", tmp_path / "none" / "x.vtt"):
        with pytest.raises(OSError, match=nowhere.name):
            check_writable(nowhere)
