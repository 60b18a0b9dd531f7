"""Quotas and turns of a limited resource."""

import asyncio

import pytest

from stream.quota import Owner, Quota, QuotaExceeded, ShareExceeded, Turns

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
