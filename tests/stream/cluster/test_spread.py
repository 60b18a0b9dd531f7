from collections import Counter

from stream.cluster.spread import Member, assign, surplus


def members(count: int, feeds: set[str], alive_s: float = 60) -> list[Member]:
    return [Member(f"s{number}", frozenset(feeds), alive_s) for number in range(count)]


def settle(servers: list[Member], holders: dict[str, str], most_rounds: int = 100) -> int:
    """Let all servers move feeds at the same time until nothing moves; return the rounds."""
    for number in range(most_rounds):
        given = [feed for each in servers for feed in surplus(each.id, servers, holders)]
        if not given:
            return number
        held = {feed: id_ for feed, id_ in holders.items() if feed not in given}
        holders |= assign(given, servers, held)
    raise AssertionError("feeds move for ever")


def test_each_server_gets_as_many_feeds() -> None:
    feeds = {f"feed{number}" for number in range(10)}
    assigned = assign(feeds, members(3, feeds), {})

    assert sorted(Counter(assigned.values()).values()) == [3, 3, 4]


def test_a_server_with_few_feeds_gets_more() -> None:
    feeds = {"a", "b", "c", "d"}
    assigned = assign({"c", "d"}, members(2, feeds), {"a": "s0", "b": "s0"})

    assert assigned == {"c": "s1", "d": "s1"}


def test_only_a_server_that_has_a_feed_in_its_settings_gets_it() -> None:
    servers = [Member("s0", frozenset("a"), 9), Member("s1", frozenset("ab"), 9)]

    assert assign({"a", "b", "unknown"}, servers, {"x": "s1", "y": "s1"}) == {"a": "s0", "b": "s1"}
    assert surplus("s1", servers, {"b": "s1", "c": "s1", "d": "s1"}) == []


def test_feeds_move_to_a_server_that_joined() -> None:
    feeds = {f"feed{number:02}" for number in range(20)}
    servers = members(3, feeds)
    holders = {feed: f"s{index % 2}" for index, feed in enumerate(sorted(feeds))}
    first = [feed for each in servers for feed in surplus(each.id, servers, holders)]

    assert len(first) == 2
    assert 3 <= settle(servers, holders) <= 10
    assert sorted(Counter(holders.values()).values()) == [6, 7, 7]


def test_a_server_that_just_joined_gets_nothing_yet() -> None:
    feeds = {"a", "b", "c"}
    servers = [*members(1, feeds), Member("new", frozenset(feeds), 0.1)]

    assert surplus("s0", servers, {"a": "s0", "b": "s0", "c": "s0"}) == []


def test_feeds_do_not_move_for_a_difference_of_one() -> None:
    feeds = {"a", "b", "c"}

    assert settle(members(2, feeds), {"a": "s0", "b": "s0", "c": "s1"}) == 0


def test_servers_that_are_equally_full_do_not_all_give() -> None:
    feeds = set("abcdef")
    servers = members(4, feeds)
    holders = {feed: f"s{index % 3}" for index, feed in enumerate("abcdef")}
    given = [feed for each in servers for feed in surplus(each.id, servers, holders)]

    assert len(given) == 1
