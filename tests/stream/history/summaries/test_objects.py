"""Which objects a caption states."""

import pytest

from stream.history.summaries import objects_of


@pytest.mark.parametrize(
    ("caption", "tags", "stated"),
    [
        ("A dog runs through the grass", (), {"dog", "grass"}),
        # A tag and the words for it are one object.
        ("Two puppies on a lawn", ("dog",), {"dog", "lawn"}),
        ("A man holding a cell phone", ("phone",), {"man", "phone"}),
        ("", ("laptop", "cup"), {"laptop", "cup"}),
        ("Dog, grass", (), {"dog", "grass"}),
        # Of nouns in succession, the last one is there.
        ("A tennis ball on a dog bed", (), {"ball", "bed"}),
        ("A climber on a rock face", (), {"climber", "rock"}),
        ("A hot dog on a plate", (), {"hot dog", "plate"}),
        ("A teddy bear", (), {"teddy bear"}),
        # Verbs that are nouns elsewhere.
        ("A man skis down a hill", (), {"man", "hill"}),
        ("Two men ski in the snow", (), {"men", "snow"}),
        ("A boy swings a bat", (), {"boy", "bat"}),
        # What is not there.
        ("A man without a hat or gloves", (), {"man"}),
        ("There are no people on the beach", (), {"beach"}),
        ("A statue of a horse in a park", (), {"statue", "park"}),
        ("A wall with a picture of a cat", (), {"wall"}),
        ("A photo of a kitchen", (), {"kitchen"}),
        ("A couple of dogs", (), {"dogs"}),
        ("A couple sits on a bench", (), {"couple", "bench"}),
        ("Running and jumping", (), set()),
        ("", (), set()),
    ],
)
def test_a_caption_states_what_it_says_is_there(
    caption: str, tags: tuple[str, ...], stated: set[str]
) -> None:
    assert {each.text for each in objects_of(caption, tags)} == stated


def test_inflections_and_synonyms_are_one_object() -> None:
    def key(word: str) -> str:
        ((key, _),) = objects_of(word, ())
        return key

    assert key("dog") == key("Dogs") == key("puppies")
    assert key("sofa") == key("couch")
    assert key("women") == key("lady")
    assert len({key(word) for word in ("man", "woman", "person", "child")}) == 4
