"""What became of each word of a caption: the fewest edits between two of them."""

from collections.abc import Sequence

from inference.adversarial.findings import Edit, EditKind


def word_diff(before: Sequence[str], after: Sequence[str]) -> tuple[Edit, ...]:
    """Align two captions with the fewest words substituted, inserted or deleted.

    Levenshtein's distance over words, by dynamic programming (Wagner and Fischer, "The
    String-to-String Correction Problem", JACM 1974). Of alignments with as few edits, one that
    keeps words as early as possible.

    Args:
        before: Words of the one.
        after: Words of the other.

    Returns:
        The edits in the order of the words: those that are not inserted have the words of
        `before`, those that are not deleted those of `after`.
    """
    rows, columns = len(before), len(after)
    # costs[i][j]: the fewest edits from before[i:] to after[j:].
    costs = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            costs[i][j] = min((cost for cost, _ in _ways(costs, before, after, i, j)), default=0)
    edits: list[Edit] = []
    i = j = 0
    while i < rows or j < columns:
        _, edit = min(_ways(costs, before, after, i, j), key=lambda way: way[0])
        edits.append(edit)
        i, j = i + (edit.kind != "inserted"), j + (edit.kind != "deleted")
    return tuple(edits)


def edit_count(edits: Sequence[Edit]) -> int:
    """Count the words that were not kept."""
    return sum(edit.kind != "kept" for edit in edits)


def kept_places(edits: Sequence[Edit]) -> frozenset[int]:
    """Tell which words of the caption before were kept, by their places in it."""
    there = [edit for edit in edits if edit.kind != "inserted"]
    return frozenset(place for place, edit in enumerate(there) if edit.kind == "kept")


def _ways(
    costs: list[list[int]], before: Sequence[str], after: Sequence[str], i: int, j: int
) -> list[tuple[int, Edit]]:
    """What can be done at before[i:] and after[j:], with what it costs to the end."""
    ways: list[tuple[int, Edit]] = []
    if i < len(before) and j < len(after):
        same = before[i] == after[j]
        kind: EditKind = "kept" if same else "substituted"
        ways.append((costs[i + 1][j + 1] + (not same), Edit(kind, before[i], after[j])))
    if i < len(before):
        ways.append((costs[i + 1][j] + 1, Edit("deleted", before[i], "")))
    if j < len(after):
        ways.append((costs[i][j + 1] + 1, Edit("inserted", "", after[j])))
    return ways
