from dataclasses import replace

from tests.inference.report.examples import concepts, example_page
from tests.support.html_tree import row


def test_concepts_have_their_numbers_or_say_that_there_are_none() -> None:
    page = example_page()

    assert row(page, "Concepts of dog", "dog-1")[2:] == [
        *("93%", "+4.2", "< 0.001", "140", "supports the word")
    ]
    assert row(page, "Concepts of dog", "dog-2")[2:] == [
        *("not tested", "not tested", "not tested", "9", "not enough evidence")
    ]
    assert "there were too few scenes for a test, as for “dog” and “grass”." in page.text


def test_the_rate_of_false_positives_is_reported() -> None:
    assert (
        "Of 16,000 random concepts tested in the same way, 0.6% were judged to matter: at least "
        "one in 4.5% of 2,000 tests of a word (5% allowed)."
    ) in example_page().text


def test_an_effect_that_was_not_found_is_not_called_none() -> None:
    findings = concepts(("dog",), each=1)
    (word,) = findings.words[:1]
    evidence = replace(word.concepts[0].evidence, p=0.4, verdict="not shown")
    word = replace(word, concepts=(replace(word.concepts[0], evidence=evidence),))
    page = example_page(concept_findings=replace(findings, words=(word,)))

    assert row(page, "Concepts of dog", "dog-1")[2:] == [
        *("93%", "+4.2", "0.400", "140", "not shown to matter")
    ]
    assert "the concept was not shown to matter for its word" in page.text
    assert "no effect" not in page.text.replace("no effect beyond chance", "").lower()


def test_words_without_concepts_have_a_reason() -> None:
    page = example_page()

    assert "“zebra”: not enough scenes of zebra" in page.text
    assert "Zebra has too few scenes for a test." in page.text


def test_bars_show_the_support_relative_to_the_largest() -> None:
    bars = [each for each in example_page().all("svg") if each.attributes.get("class") == "bar"]
    lengths = [bar.all("rect")[0].attributes["width"] for bar in bars]

    assert lengths == ["38.0", "19.0", "38.0", "19.0"]


def test_components_add_up_to_a_share_of_the_image() -> None:
    page = example_page()
    text = " ".join(page.text.split())

    assert "3 components account for 83% of what the decoder sees" in text
    assert "returns dog grass: 89% of the words of the caption." in text
    assert row(page, "Components of this image", "Component 1") == ["0.9", "dog"]


def test_discovered_concepts_are_described_as_such() -> None:
    page = example_page(concept_findings=replace(concepts(), scope="frames"))

    assert "The concepts were discovered in 5400 images of 2100 scenes." in page.text
    assert "cut from the images in which they were found" in page.text
