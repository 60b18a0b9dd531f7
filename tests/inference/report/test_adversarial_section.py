import base64
import io

import numpy as np
import pytest
from PIL import Image

from inference.adversarial import Regions
from inference.report.adversarial_section import region_names
from tests.inference.report.examples import adversarial, example_page
from tests.support.html_tree import row, table

LABELS = np.arange(9, dtype=np.int32).reshape(3, 3).repeat(10, axis=0).repeat(10, axis=1)


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def test_captions_are_side_by_side_with_their_edits_and_fragile_words() -> None:
    page = example_page()
    (captions,) = (each for each in page.all("dl") if each.attributes.get("class") == "captions")
    clean, attacked = captions.all("dd")

    assert [each.all("b")[0].text for each in captions.all("dt")] == ["f(x)", "f(x+d)"]
    assert clean.text == "a dog on grass"
    assert [each.text for each in clean.all("mark")] == ["dog"]
    assert attacked.text == "a dog cat on grass"
    assert [each.text for each in attacked.all("del")] == ["dog"]
    assert [each.text for each in attacked.all("ins")] == ["cat"]
    assert "f(x) and f(x+d) differ by one word edit (25% of the caption's words)." in page.text


def test_the_models_are_side_by_side_with_the_share_of_chance() -> None:
    page = example_page()

    label = "Three models under one attack"
    assert row(page, label, "captioner") == ["a dog on grass", "a dog cat on grass"]
    assert row(page, label, "hardened model") == ["a dog on grass", "a dog on grass"]
    assert row(page, label, "control") == ["a dog on grass", "a dog cat on grass"]
    assert "was attacked by up to 0.5 grey levels per pixel" in page.text
    assert "About 20% of the words called fragile are so by chance, measured on 200" in page.text


def test_without_a_hardened_model_none_is_mentioned() -> None:
    page = example_page(adversarial(hardened=False))

    assert "control" not in page.text
    assert "has no hardened model to compare with" in page.text
    assert not page.all("mark")


def test_the_attack_is_the_same_everywhere() -> None:
    attacked = adversarial(epsilon=0.4)
    page = example_page(attacked)

    # The headline quotes the caption that the diff shows.
    headline = next(e for e in page.all("p") if e.attributes.get("class") == "headline")
    assert "changes the caption to \u201ca cat on grass\u201d" in headline.text
    assert row(page, "Smallest change of the caption", "PGD")[2] == attacked.attacked.attacked
    assert [each.text for each in page.all("dd")[1].all("ins")] == ["cat"]
    assert page.text.count("0.4 grey levels per pixel") >= 3
    assert row(page, "Smallest change of the caption", "PGD")[1] == "0.4"
    assert "1.2 grey levels" not in page.text


def test_what_the_captioner_got_as_a_square_is_shown_in_the_ratio_of_the_image() -> None:
    images = {each.attributes["alt"]: each.attributes for each in example_page().all("img")}

    # example_page has an image of 451 by 30 pixels.
    stretched = ("Image as the captioner gets it", "Image with the outlines of its 4 regions")
    for alt in stretched:
        assert (images[alt]["width"], images[alt]["height"]) == ("260", "17")
        _, _, data = str(images[alt]["src"]).partition("base64,")
        with Image.open(io.BytesIO(base64.b64decode(data))) as image:
            assert image.size == (260, 17)
    looks = images["What concept dog-1 looks like"]
    assert looks["width"] == looks["height"] == "96"


def test_harmless_changes_and_rounding_stand_beside_the_attack() -> None:
    page = example_page()

    assert row(page, "Harmless changes", "JPEG of quality 95") == ["the same"]
    assert row(page, "Harmless changes", "shift by one pixel") == ["a dog in grass"]
    assert "the attack is lost: the caption is the original one again." in page.text
    assert "A change of one whole grey level in the same direction suffices." in page.text


def test_attacks_that_found_nothing_give_the_size_that_they_searched() -> None:
    page = example_page(adversarial(epsilon=None))

    assert row(page, "Smallest change of the caption", "PGD") == ["L∞", "> 16", "not found"]
    assert "PGD found no change of up to 16 grey levels per pixel" in page.text
    assert "Rounded to whole grey levels" not in page.text


def test_keyword_attacks_are_listed_by_their_goal() -> None:
    page = example_page()

    label = "Make it say or drop a word"
    assert row(page, label, "say “cat”") == ["PGD", "L∞", "0.7", "a cat on grass"]
    assert row(page, label, "drop “dog”") == ["PGD", "L∞", "> 16", "not found"]


def test_each_word_has_its_numbers() -> None:
    cells = row(example_page(), "Word by word", "dog")

    numbers = [_minus(number) for number in ("-0.40", "-3.25", "-0.50", "-0.60")]
    assert cells == ["0.4", "cat", *numbers, "fragile", "2 of 4"]


def test_regions_are_listed_by_their_positions() -> None:
    assert row(example_page(), "Regions that change a word", "dog") == [
        *("cat", "2", "0 (top left), 3 (bottom right)")
    ]


@pytest.mark.parametrize(
    ("label", "position"),
    [(0, "top left"), (1, "top"), (3, "left"), (4, "centre"), (8, "bottom right")],
)
def test_regions_are_named_by_their_positions(label: int, position: str) -> None:
    assert region_names(Regions(4.0, LABELS, 9), (label,)) == f"{label} ({position})"


def test_charts_have_tables_with_the_same_numbers() -> None:
    page = example_page()
    charts = [drawing for drawing in page.all("svg") if drawing.attributes.get("role") == "img"]
    rows = table(page, "Effect of larger changes").all("tr")

    assert len(charts) == 4
    assert all("table below" in str(chart.attributes["aria-label"]) for chart in charts)
    assert [cell.text for cell in rows[3].inside] == [
        *("1", "50%", "0%", "0%", _minus("-2.00"), _minus("-0.40"))
    ]
