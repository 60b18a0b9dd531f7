import asyncio

from stream.video.frame import Slot


async def test_gives_the_newest_and_counts_what_it_replaced() -> None:
    slot: Slot[int] = Slot()
    for item in range(5):
        slot.put(item)

    assert await slot.take() == 4
    assert slot.replaced == 4


async def test_gives_nothing_twice() -> None:
    slot: Slot[str] = Slot()
    slot.put("a")
    await slot.take()
    taking = asyncio.create_task(slot.take())
    await asyncio.sleep(0.01)
    assert not taking.done()
    slot.put("b")

    assert await taking == "b"
    assert slot.replaced == 0


async def test_loses_nothing_to_a_taker_that_gave_up() -> None:
    slot: Slot[str] = Slot()
    taking = asyncio.create_task(slot.take())
    await asyncio.sleep(0)
    taking.cancel()
    slot.put("kept")

    assert await slot.take() == "kept"
