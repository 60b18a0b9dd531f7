"""What the plain and the hardened decoder say of the clean and of the attacked picture."""

from collections.abc import Sequence

from inference.adversarial import AdversarialFindings, Attacked, Edit, WordFindings
from inference.report.markup import Markup, element, join
from inference.report.wording import amount, attack_name, counted, share

_NO_HARDENED = "This captioner has no hardened decoder to compare with."


def captions_part(findings: AdversarialFindings) -> Markup:
    """Set the captions side by side, aligned with the first, its fragile words marked."""
    attacked = findings.attacked
    size = f"{attack_name(attacked.attack)}, {amount(attacked.epsilon, attacked.norm)}"
    said = [
        _said("f(x)", "The captioner, of the picture", _fragile_marked(attacked, findings.words)),
        _said(
            "f(x+d)",
            f"The captioner, of the attacked picture ({size})",
            diffed(attacked.diff, attacked.attacked),
        ),
    ]
    if attacked.hardened_clean is not None:
        plain = attacked.hardened_clean
        said.append(_said("g(x)", "The hardened decoder, of the picture", _sentence(plain)))
    if attacked.hardened is not None:
        said.append(
            _said(
                "g(x+d)",
                "The hardened decoder, of the attacked picture",
                diffed(attacked.hardened_diff, attacked.hardened),
            )
        )
    return join(
        element("h3", "What it says, side by side"),
        element("dl", *said, class_="said"),
        element("p", _key(findings), class_="note"),
        element("p", _changes(attacked)),
        None if attacked.hardened is not None else element("p", _NO_HARDENED),
    )


def diffed(edits: Sequence[Edit], caption: str) -> Markup:
    """Write a caption above which stand the words of the other that it does not have.

    Args:
        edits: From the other to this one; none if they were not aligned.
        caption: This one.
    """
    if not edits:
        return _sentence(caption)
    words: list[Markup] = []
    for edit in edits:
        words += [_changed(edit), Markup(" ")]
    return element("span", *words[:-1], class_="diff", lang="en")


def _changed(edit: Edit) -> Markup:
    if edit.kind == "kept":
        return element("span", edit.after, class_="word")
    before = element("del", edit.before) if edit.before else element("span", "+", class_="added")
    gone = element("span", "\N{EN DASH}", aria_hidden="true")
    return element(
        "span", before, " ", element("ins", edit.after) if edit.after else gone, class_="change"
    )


def _fragile_marked(attacked: Attacked, words: Sequence[WordFindings]) -> Markup:
    fragile = {word.index for word in words if word.fragile}
    said = attacked.clean.split()
    marked = [element("mark", word) if i in fragile else word for i, word in enumerate(said)]
    spaced = [part for word in marked for part in (word, " ")]
    return element("span", *(spaced[:-1] or ["(no words)"]), lang="en")


def _sentence(caption: str) -> Markup:
    return element("span", caption or "(no words)", lang="en")


def _said(symbol: str, of: str, sentence: Markup) -> Markup:
    return element("div", element("dt", element("b", symbol), " ", of), element("dd", sentence))


def _key(findings: AdversarialFindings) -> Markup:
    parts: list[Markup | str] = ["Above a changed word stands, struck through, the word of f(x)."]
    if any(word.fragile for word in findings.words):
        parts += [" ", element("mark", "Framed"), " words rest on fragile features."]
    return join(*parts)


def _changes(attacked: Attacked) -> str:
    changed = [edit for edit in attacked.diff if edit.kind != "kept"]
    if not changed:
        return "The attacked caption is the same, word for word."
    words = max(1, len(attacked.clean.split()))
    told = f"{len(changed)} edits" if len(changed) > 1 else "One edit"
    kept = min(1.0, len(changed) / words)
    sentence = f"{told}: {share(kept)} of the words of the caption."
    if attacked.hardened is None:
        return sentence
    again = sum(edit.kind != "kept" for edit in attacked.hardened_diff)
    places = counted(again, "place", "places")
    return f"{sentence} The hardened decoder differs from f(x) in {places}."
