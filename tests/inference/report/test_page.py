import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from inference.adversarial.findings import AdversarialFindings
from inference.captioning.caption import Caption
from inference.concepts.findings import ConceptFindings
from inference.explanations.rendering import Tile
from inference.report.analysis_files import analysis_files
from inference.report.document import Document
from inference.report.methods_part import Maps
from inference.report.page import page
from tests.inference.report.made_up import (
    MadeUpCaptioner,
    adversarial,
    caption,
    concepts,
    picture,
)
from tests.inference.report.reading import Element, read

_FETCHED = {"src", "srcset", "href", "data", "action", "poster", "background", "xlink:href"}
_ACTIVE = {"script", "link", "iframe", "object", "embed", "form", "base", "foreignobject"}


def whole(
    attacked: AdversarialFindings | None = None,
    thought: ConceptFindings | None = None,
    said: Caption | None = None,
    captioner: MadeUpCaptioner | None = None,
    name: str = "dog.jpg",
    width: int = 451,
) -> Element:
    tile = Tile(picture(width=width), "dog", "93% sure")
    document = Document(
        name,
        picture(height=30, width=width),
        captioner or MadeUpCaptioner(),
        said or caption(),
        attacked or adversarial(),
        thought or concepts(),
        (Maps("Grad-CAM", ("A paper",), "logit", (tile,)),),
    )
    return read("".join(page(document)))


def test_a_page_is_sound_for_readers_of_any_kind() -> None:
    root = whole()
    (document,) = root.all("html")
    everything = _everything(root)

    assert document.attributes["lang"] == "en"
    assert [len(root.all(name)) for name in ("title", "h1", "main")] == [1, 1, 1]
    assert all(image.attributes["alt"] for image in root.all("img"))
    assert all(len(table.all("caption")) == 1 for table in root.all("table"))
    assert all(head.attributes["scope"] in ("col", "row") for head in root.all("th"))
    for drawing in root.all("svg"):
        assert drawing.attributes.get("aria-label") or drawing.attributes["aria-hidden"] == "true"
    levels = [int(each.name[1]) for each in everything if re.fullmatch("h[1-6]", each.name)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = Counter(each.attributes["id"] for each in everything if "id" in each.attributes)
    assert set(ids.values()) == {1}
    for each in everything:
        if "aria-labelledby" in each.attributes:
            assert each.attributes["aria-labelledby"] in ids
        if each.name == "a":
            assert str(each.attributes["href"]).removeprefix("#") in ids


def test_a_page_fetches_nothing_and_runs_nothing() -> None:
    root = whole()

    for each in _everything(root):
        assert each.name not in _ACTIVE
        for name, value in each.attributes.items():
            assert not name.startswith("on")
            assert name != "style"
            if name in _FETCHED:
                assert str(value).startswith(("data:image/webp;base64,", "#"))
    (style,) = root.all("style")
    assert not re.search(r"url\(|@import|image-set|expression", style.text)
    assert "prefers-color-scheme: dark" in style.text
    assert "@media print" in style.text


_words = st.text(min_size=1, max_size=20).filter(lambda text: text.split() == [text])
_tagged = st.one_of(
    st.sampled_from(
        ["<script>alert(1)</script>", "</style><img/src=x>", '"onload="x', "'><b>", "&lt;i&gt;"]
    ),
    _words,
)


@settings(max_examples=50, deadline=None)
@given(words=st.tuples(_tagged, _tagged, _tagged, _tagged), texts=st.lists(st.text(), min_size=5))
def test_no_word_and_no_name_becomes_markup(words: tuple[str, ...], texts: list[str]) -> None:
    name, licence, data, note, unknown = texts[:5]

    def made(words: tuple[str, ...], *more: str) -> Element:
        attacked = replace(adversarial(words, words[3]), pictures={})
        thought = replace(
            concepts(words[:2], more[0], each=1), pictures={}, notes=(f"A note: {more[1]}",)
        )
        captioner = MadeUpCaptioner("a", more[2], more[3])
        said = caption(" ".join(words))
        return whole(attacked, thought, said, captioner, more[4], width=8)

    plain = made(("a", "dog", "on", "grass"), "b", "c", "d", "e", "f")
    fuzzed = made(words, unknown, note, licence, data, name)

    assert _shape(fuzzed) == _shape(plain)
    (title,) = fuzzed.all("h1")
    printable = [word for word in words if word.isprintable() and "\ufffd" not in word]
    assert all(word in title.text for word in printable)


def test_captions_are_set_side_by_side_with_what_changed_and_what_is_fragile() -> None:
    (said,) = (each for each in whole().all("dl") if each.attributes.get("class") == "said")
    names = [each.all("b")[0].text for each in said.all("dt")]
    before, after, hardened, both = said.all("dd")

    assert names == ["f(x)", "f(x+d)", "g(x)", "g(x+d)"]
    assert before.text == "a dog on grass"
    assert [each.text for each in before.all("mark")] == ["dog"]
    assert [each.text for each in after.all("del")] == ["dog"]
    assert [each.text for each in after.all("ins")] == ["cat"]
    assert hardened.text == both.text == "a dog on grass"
    assert not both.all("ins")


def test_without_a_hardened_decoder_nothing_is_said_of_it() -> None:
    root = whole(adversarial(hardened=False))

    assert "g(x" not in root.text
    assert "no hardened decoder" in root.text
    assert not root.all("mark")


def test_what_was_not_found_is_told_with_how_far_it_was_sought() -> None:
    root = whole(adversarial(epsilon=None))

    row = _row(root, "The smallest change", "PGD")
    assert [cell.text for cell in row.all("td")] == ["L∞", "> 16", "nothing found"]
    assert "No change of up to 16 grey levels a pixel" in root.text


def test_each_word_has_its_figures() -> None:
    row = _row(whole(), "Word by word", "dog")

    assert [cell.text for cell in row.all("td")] == [
        *(
            "0.4",
            "> 16",
            "cat",
            "\N{MINUS SIGN}0.40",
            "\N{MINUS SIGN}3.25",
            "\N{MINUS SIGN}0.50",
            "\N{MINUS SIGN}0.60",
            "fragile",
            "2 of 4",
        )
    ]


def test_regions_are_told_by_where_they_are() -> None:
    row = _row(whole(), "Which regions suffice", "dog")

    assert row.all("td")[-1].text == "0 (upper left), 3 (lower right)"


def test_curves_have_a_table_beside_them() -> None:
    rows = _table(whole(), "As the change grows").all("tr")

    assert [cell.text for cell in rows[3].inside] == [
        "1",
        "50%",
        "0%",
        "0%",
        "\N{MINUS SIGN}2.00",
        "\N{MINUS SIGN}0.40",
    ]


def test_concepts_say_what_is_known_of_them_and_what_is_not() -> None:
    root = whole()
    known, untested = (_row(root, "Concepts of dog", name) for name in ("dog-1", "dog-2"))

    assert [cell.text.strip() for cell in known.all("td")][2:] == [
        *("93%", "50%", "< 0.001", "140", "speaks for the word")
    ]
    assert [cell.text.strip() for cell in untested.all("td")][2:] == [
        *("not tested", "not tested", "not tested", "9", "not enough evidence")
    ]
    assert "“zebra”: the bank knows no zebra" in root.text
    assert "Zebra has too few scenes for a test." in root.text
    assert "89% of the words of the caption" in root.text


def test_what_was_too_doubtful_to_be_said_is_named_as_such() -> None:
    root = whole(said=caption("dog, grass", guess="A dog on grass"))

    assert root.all("h1")[0].text == "A dog on grass"
    assert "too doubtful to be said; said instead: dog, grass" in root.text


def test_the_files_of_an_analysis_are_small_and_come_in_slices() -> None:
    words = tuple(f"word{number}" for number in range(12))
    attacked = adversarial(words)
    attacked = replace(
        attacked, words=tuple(replace(each, regions=(0, 1)) for each in attacked.words)
    )
    document = Document(
        "", picture(), MadeUpCaptioner(), caption(), attacked, concepts(words[:10], each=8)
    )
    pieces = list(page(document))

    assert len("".join(pieces).encode()) < 3_000_000
    assert max(piece.count("<img") for piece in pieces) <= 16


def test_the_files_of_an_analysis_are_a_page_and_its_figures() -> None:
    attacked = adversarial()
    work = analysis_files(MadeUpCaptioner(), picture(), caption(), attacked, None)
    try:
        while True:
            assert next(work).done == 1.0
    except StopIteration as end:
        files = end.value
    values = json.loads(files["report.json"])

    assert set(files) == {"report.html", "report.json"}
    assert read(files["report.html"].decode()).all("h1")[0].text == "A dog on grass"
    assert values["image"] == {"file": "", "width": 260, "height": 260}
    assert values["captioner"] == {"name": "Made up", "licence": "CC0-1.0", "data": "nothing"}
    assert values["caption"]["text"] == "A dog on grass"
    assert values["adversarial"] == json.loads(json.dumps(attacked.to_json()))
    assert values["ace"] is None


def test_reports_need_no_tensorflow() -> None:
    check = (
        "import sys, inference.report.analysis_files, inference.report.summary;"
        "print(sorted({'keras', 'tensorflow', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def _everything(root: Element) -> list[Element]:
    return [each for one in root.inside for each in (one, *_everything(one))]


def _shape(root: Element) -> list[tuple[str, list[str]]]:
    return [(each.name, list(each.attributes)) for each in _everything(root)]


def _table(root: Element, name: str) -> Element:
    (found,) = (each for each in root.all("div") if each.attributes.get("aria-label") == name)
    return found.all("table")[0]


def _row(root: Element, name: str, head: str) -> Element:
    rows = _table(root, name).all("tr")
    return next(row for row in rows if row.all("th")[0].text == head)
