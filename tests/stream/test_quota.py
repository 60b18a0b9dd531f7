"""Quotas and turns of a limited resource."""

import asyncio

import pytest

from stream.quota import HourlyLimit, Owner, Quota, QuotaExceeded, ShareExceeded, Turns

ADMIN = Owner("192.0.2.99", is_admin=True, share=0.5)


def viewer(number: int) -> Owner:
    return Owner(f"192.0.2.{number}", is_admin=False, share=0.5)


def fill(quota: Quota, owner: Owner) -> tuple[int, type[QuotaExceeded]]:
    """Use a quota until it is exceeded; return the number of uses, and the error."""
    for count in range(1000):
        try:
            quota.acquire(owner)
        except QuotaExceeded as error:
            return count, type(error)
    raise AssertionError("there is no limit")


@pytest.mark.parametrize(
    ("limit", "share", "of_viewers", "of_admins"),
    [(100, 50, 88, 12), (32, 16, 28, 4), (16, 8, 14, 2), (3, 1, 2, 1), (2, 1, 1, 1), (1, 1, 1, 1)],
)
def test_an_address_gets_a_share_and_an_admin_always_has_room(
    limit: int, share: int, of_viewers: int, of_admins: int
) -> None:
    quota = Quota(limit, "seats")
    uses = fill(quota, viewer(1))
    assert uses[0] == share
    rest, error = 0, uses[1]
    for number in range(2, 10):
        more, error = fill(quota, viewer(number))
        rest += more

    assert share + rest == of_viewers
    assert error is QuotaExceeded
    assert fill(quota, ADMIN) == (of_admins, QuotaExceeded)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_admins_alone_may_use_everything(limit: int) -> None:
    quota = Quota(limit, "seats")

    assert fill(quota, ADMIN) == (limit, QuotaExceeded)
    assert fill(quota, viewer(1)) == (0, QuotaExceeded)


def test_a_released_use_can_be_used_again() -> None:
    quota = Quota(4, "seats")
    fill(quota, viewer(1))
    with pytest.raises(ShareExceeded, match="this address already has its share of 2 seats"):
        quota.acquire(viewer(1))
    quota.release(viewer(1))
    with quota.use(viewer(1)):
        assert len(quota) == 2
    assert len(quota) == 1


async def test_owners_take_turns() -> None:
    turns, order = Turns(), list[str]()
    first, release = asyncio.Event(), asyncio.Event()

    async def use(owner: Owner, name: str) -> None:
        async with turns.take(owner):
            order.append(name)
            first.set()
            await release.wait()

    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(use(viewer(1), "1a"))
        await first.wait()
        for number, name in ((1, "1b"), (1, "1c"), (2, "2a"), (2, "2b"), (3, "3a")):
            tasks.create_task(use(viewer(number), name))
        await asyncio.sleep(0)
        release.set()

    assert order == ["1a", "2a", "3a", "1b", "2b", "1c"]


async def test_whoever_stops_waiting_loses_the_turn() -> None:
    turns, used = Turns(), list[str]()
    release = asyncio.Event()

    async def use(owner: Owner, name: str) -> None:
        async with turns.take(owner):
            await release.wait()
            used.append(name)

    tasks = [asyncio.create_task(use(viewer(n), str(n))) for n in range(4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    tasks[0].cancel()
    await asyncio.sleep(0)
    # By now it has been given to the third, which gives it up in turn.
    tasks[2].cancel()
    release.set()
    async with asyncio.timeout(20):
        await asyncio.gather(*tasks, return_exceptions=True)
        async with turns.take(viewer(5)):
            used.append("5")

    assert used == ["3", "5"]


def limit_per_hour(per_hour: int, most_at_once: int = 17) -> tuple[HourlyLimit, list[float]]:
    """Return a limit, and a list whose only item is its clock's time in seconds."""
    now = [0.0]
    limit = HourlyLimit("requests", lambda: now[0])
    limit.configure(per_hour, most_at_once)
    return limit, now


def test_an_address_uses_its_share_of_an_hour_at_once_and_then_the_average() -> None:
    limit, now = limit_per_hour(100)
    for count in (17, 17, 16):
        limit.take(viewer(1), count)
    with pytest.raises(
        ShareExceeded,
        match=r"its share of the viewers' requests \(100 an hour\); try again in 21 minutes",
    ):
        limit.take(viewer(1), 17)
    now[0] = 20.4 * 60 - 1
    with pytest.raises(ShareExceeded, match=r"try again in 1 minute$"):
        limit.take(viewer(1), 17)
    now[0] = 20.4 * 60
    limit.take(viewer(1), 17)


def test_all_viewers_have_one_limit_and_admins_none() -> None:
    limit, now = limit_per_hour(100)
    limit.take(viewer(1), 50)
    limit.take(viewer(2), 50)
    with pytest.raises(
        QuotaExceeded, match=r"viewers have used all of their requests \(100 an hour\); "
    ):
        limit.take(viewer(3), 17)
    for _ in range(20):
        limit.take(ADMIN, 17)
    # What was refused is not counted.
    now[0] = 17 * 36
    limit.take(viewer(3), 17)


def test_a_small_share_allows_one_use_and_a_limit_of_0_none() -> None:
    limit, _ = limit_per_hour(20)
    limit.take(viewer(1), 17)
    with pytest.raises(ShareExceeded, match="102 minutes"):
        limit.take(viewer(1), 17)
    limit.configure(0, 17)
    with pytest.raises(QuotaExceeded, match="only an admin"):
        limit.take(viewer(1), 1)
    limit.take(ADMIN, 17)
    limit.configure(20, 17)
    limit.take(viewer(1), 17)
    # The same settings, read again, give nothing back.
    limit.configure(20, 17)
    with pytest.raises(ShareExceeded):
        limit.take(viewer(1), 17)


def test_many_addresses_do_not_grow_the_memory() -> None:
    limit, _ = limit_per_hour(1_000_000)
    for number in range(5000):
        limit.take(Owner(str(number), is_admin=False, share=0.5), 1)
    assert len(limit) == 1000


def test_a_use_that_another_server_allowed_counts_and_is_not_told_again() -> None:
    limit, now = limit_per_hour(100)
    viewer = Owner("192.0.2.1", is_admin=False, share=0.5)
    told: list[tuple[Owner, int]] = []
    limit.on_use = lambda owner, count: told.append((owner, count))
    limit.charge(viewer, 60)

    with pytest.raises(ShareExceeded):
        limit.take(viewer, 1)
    limit.take(Owner("192.0.2.2", is_admin=False, share=0.5), 17)
    assert [count for _, count in told] == [17]
    now[0] = 3600.0
    limit.take(viewer, 17)
