"""Tests of BLIP's word pieces against the tokenizer of `transformers`; see `test_networks.py`."""

import json
from pathlib import Path

import pytest

from models.blip import TextConfig, WordPieces
from tests.support.blip import WORD_PIECES, folder

VOCABULARY = folder("plain") / "vocab.txt"
PIECES = VOCABULARY.read_text(encoding="utf-8").splitlines()
CONFIG = TextConfig(
    vocab_size=len(PIECES) + 2, bos_token_id=len(PIECES), sep_token_id=PIECES.index("[SEP]")
)


@pytest.mark.parametrize("lower_case", [True, False])
def test_texts_are_split_as_by_transformers(lower_case: bool) -> None:
    word_pieces = WordPieces.read(VOCABULARY, CONFIG, lower_case=lower_case)
    expected = json.loads(WORD_PIECES.read_text(encoding="utf-8"))[json.dumps(lower_case)]

    split = {text: list(word_pieces.encode(text)) for text in expected}

    assert split == expected


def test_text_of_a_token_is_its_piece_unless_it_is_special() -> None:
    word_pieces = WordPieces(PIECES, CONFIG, lower_case=True)

    assert [word_pieces.text_of(token) for token in word_pieces.encode("skateboards")] == [
        "skate",
        "##board",
        "##s",
    ]
    special = (0, PIECES.index("[UNK]"), CONFIG.sep_token_id, CONFIG.bos_token_id)
    assert [word_pieces.text_of(token) for token in special] == [""] * 4


def test_vocabulary_may_have_windows_line_endings_and_line_separators(tmp_path: Path) -> None:
    path = tmp_path / "vocab.txt"
    pieces = [*PIECES, "\u2028"]
    path.write_bytes("".join(f"{piece}\r\n" for piece in pieces).encode())

    assert WordPieces.read(path, CONFIG, lower_case=True).pieces == tuple(pieces)
