from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from cohear_server.engine.workers import Workers


async def test_calls_run_side_by_side_and_give_what_they_return_or_raise() -> None:
    workers = Workers(2)
    meet = threading.Barrier(2, timeout=60)
    assert sorted(await asyncio.gather(workers.run(meet.wait), workers.run(meet.wait))) == [0, 1]
    with pytest.raises(ZeroDivisionError):
        await workers.run(lambda: 1 / 0)
    assert await workers.run(lambda: "still here") == "still here"
    await workers.aclose()
    await workers.aclose()
    with pytest.raises(RuntimeError):
        await workers.run(lambda: None)


async def test_closing_waits_for_what_was_posted() -> None:
    workers, go_on = Workers(1), threading.Event()
    posted = asyncio.create_task(workers.run(lambda: go_on.wait(10)))
    later = asyncio.create_task(workers.run(lambda: "done"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(workers.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    go_on.set()
    await closing
    assert (await posted, await later) == (True, "done")


async def test_closing_leaves_a_call_that_hangs() -> None:
    workers, never = Workers(1), threading.Event()
    posted = asyncio.create_task(workers.run(never.wait))
    await asyncio.sleep(0)
    await workers.aclose(within_s=0.01)
    assert not posted.done()
    posted.cancel()
    never.set()


def test_the_end_of_the_process_does_not_wait_for_a_call_that_hangs() -> None:
    code = """
import asyncio, threading
from cohear_server.engine.workers import Workers
async def main():
    workers = Workers(1)
    task = asyncio.create_task(workers.run(threading.Event().wait))
    await asyncio.sleep(0)
    await workers.aclose(within_s=0.01)
    task.cancel()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)


@pytest.mark.model
@pytest.mark.parametrize("times", range(3))
def test_a_process_with_a_model_ends_in_order(tiny_en_dir: Path, times: int) -> None:
    code = f"""
import asyncio, pathlib
from cohear_server.engine.local import LocalBackend
from cohear_server.engine.options import EngineOptions
async def main():
    backend = LocalBackend(EngineOptions("tiny.en", pathlib.Path({str(tiny_en_dir)!r}), "cpu", "int8", 2, 1))
    await backend.start()
    await backend.aclose()
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
