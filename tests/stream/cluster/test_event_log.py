"""The log of captions, written and read with a real database."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stream.captioning.event import CaptionEvent
from stream.cluster import event_log
from stream.cluster.connection import DatabaseUnavailable
from stream.cluster.event_log import EventReader, delete_expired, read_latest
from tests.support.servers.bare_member import BareMember


@pytest_asyncio.fixture
async def servers(database_url: str) -> AsyncIterator[tuple[BareMember, BareMember]]:
    found = BareMember(database_url, "one"), BareMember(database_url, "two")
    yield found
    for each in found:
        await each.connection.close()


def texts(events: list[event_log.LoggedEvent]) -> list[str]:
    return [each.event.caption.text for each in events]


async def hand_over(old: BareMember, new: BareMember) -> None:
    """Let a server have the feed whose old holder knows nothing of it."""
    await new.connection.fetch("UPDATE cluster_leases SET expires = '-infinity', server = ''")
    await new.connection.fetch("UPDATE cluster_servers SET heartbeat = '-infinity'")
    await new.beat()
    assert new.membership.token("yard")
    assert old.membership.token("yard")


async def test_captions_of_a_feed_stay_in_order_when_it_moves(
    servers: tuple[BareMember, BareMember], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    monkeypatch.setattr(event_log, "_MAX_PAGE", 2)
    await one.beat()
    await one.write("1", "2", "3")
    await hand_over(one, two)
    await two.write("4", "5")
    await hand_over(two, one)
    await one.write("6")
    reader, read = EventReader(two.connection), list[str]()
    while events := await reader.read():
        assert len(events) <= 2
        read += texts(events)

    assert read == ["1", "2", "3", "4", "5", "6"]
    assert texts(await EventReader(two.connection, without="two").read()) == ["1", "2"]


async def test_a_server_that_lost_its_lease_writes_nothing(
    servers: tuple[BareMember, BareMember],
) -> None:
    one, two = servers
    await one.beat()
    await one.write("1")
    await hand_over(one, two)
    await one.write("late")
    await two.write("2")

    assert texts(await read_latest(two.connection, 10)) == ["1", "2"]
    assert (one.writer.written, one.writer.refused) == (1, 1)
    assert one.lost == {"yard"}


async def test_a_batch_that_is_written_again_is_there_once(
    servers: tuple[BareMember, BareMember], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = servers
    await one.beat()
    fetch = one.connection.fetch

    async def lose_answer(*arguments: object) -> list[tuple[object, ...]]:
        await fetch(*arguments)  # type: ignore[arg-type]
        raise DatabaseUnavailable("the connection was cut")

    monkeypatch.setattr(one.connection, "fetch", lose_answer)
    with pytest.raises(DatabaseUnavailable):
        await one.write("1", "2")
    assert one.writer.waiting == 2
    monkeypatch.setattr(one.connection, "fetch", fetch)
    await one.write("3")

    assert texts(await read_latest(two.connection, 10)) == ["1", "2", "3"]


async def test_captions_without_a_lease_wait_for_it(servers: tuple[BareMember, BareMember]) -> None:
    one, _ = servers
    await one.connection.fetch("SELECT 1")
    await one.write("early")
    assert one.writer.waiting == 1
    await one.beat()
    await one.writer.flush()

    assert texts(await read_latest(one.connection, 10)) == ["early"]


async def test_ages_do_not_depend_on_the_machines_clocks(
    servers: tuple[BareMember, BareMember],
) -> None:
    one, two = servers
    await one.beat()
    await one.write("1")
    (read,) = await EventReader(two.connection).read()
    event: CaptionEvent = read.event

    assert 1500 <= event.age_ms() < 2500
    assert 1.0 <= event.received_age_s() < 2.0


async def test_old_captions_and_former_servers_are_deleted(
    servers: tuple[BareMember, BareMember],
) -> None:
    one, two = servers
    await one.beat()
    await two.beat()
    await one.write("old", "new")
    reader = EventReader(two.connection)
    await reader.read()
    hour = "clock_timestamp() - interval '1 hour'"
    await one.connection.fetch(f"UPDATE cluster_events SET written = {hour} WHERE seq = 1")
    await delete_expired(two.connection)
    assert texts(await read_latest(two.connection, 10)) == ["new"]
    await one.connection.fetch(f"UPDATE cluster_events SET written = {hour}")
    await one.connection.fetch(f"UPDATE cluster_servers SET heartbeat = {hour} WHERE id = 'one'")
    await delete_expired(two.connection)
    # Its captions were still there when the statement began.
    await delete_expired(two.connection)
    await reader.forget_former_servers()

    assert await two.connection.fetch("SELECT id FROM cluster_servers") == [("two",)]
    assert reader.cursors == {}
