"""Windows of all files that wait for the engine, and which of them are decoded together.

Windows of one lane (one length class, one temperature) share a batch. It is bounded: whoever reads files waits while
it is full. Batches are full ones while more windows are to come; when none are, what is left is shared out evenly, so
that all workers end at the same time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class PoolOptions:
    capacity: int = 96
    """windows; the reader waits when there are as many"""
    max_batch: int = 8
    """windows; fewer where windows say so"""
    workers: int = 1
    patience: int = 12
    """batches that may pass by a window whose lane does not fill"""


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    item: Item
    batches_before: int


class Pool(Generic[Item]):
    """Thread-safe. `put` and `flush` are the reader's, `put_back` and `take` the workers'."""

    def __init__(self, options: PoolOptions, together: Callable[[Item], int | None] = lambda item: None) -> None:
        """`together`: how many items like this one may share a batch, the same for all of a lane."""
        self.options = options
        self._together = together
        self._lanes: dict[Hashable, deque[_Waiting[Item]]] = {}
        self._changed = threading.Condition()
        self._flushed = False
        """no window comes soon: what is there is decoded in smaller batches"""
        self._ended = False
        self._closed = False
        self._batches = 0
        self._in_work = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def put(self, lane: Hashable, item: Item) -> bool:
        """Waits while the pool is full; False if it was closed, and the item is lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self) < self.options.capacity)
            if self._closed:
                return False
            self._flushed = False
            self._add(lane, item)
            return True

    def put_back(self, lane: Hashable, item: Item) -> None:
        """Take in a window that a worker wants decoded once more; there is always room, as it held one before."""
        with self._changed:
            self._add(lane, item)

    def flush(self) -> None:
        """Nothing more comes for now."""
        with self._changed:
            self._flushed = True
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more comes at all."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def close(self) -> None:
        """Let everyone who waits go; what is in the pool is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def take(self) -> list[Item]:
        """The next batch; waits for one. Empty when there will be none. Each batch must be followed by `done`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._is_over() or self._ready())
            if self._closed or not self._ready():
                return []
            lane = self._choose()
            waiting = self._lanes[lane]
            items = [waiting.popleft().item for _ in range(min(self._size(lane), len(waiting)))]
            if not waiting:
                del self._lanes[lane]
            self._batches += 1
            self._in_work += 1
            self._changed.notify_all()
            return items

    def done(self) -> None:
        """A batch is decoded, and what of it must be decoded again is put back."""
        with self._changed:
            self._in_work -= 1
            self._changed.notify_all()

    def _add(self, lane: Hashable, item: Item) -> None:
        self._lanes.setdefault(lane, deque()).append(_Waiting(item, self._batches))
        self._changed.notify_all()

    def _is_over(self) -> bool:
        return self._ended and not self._lanes and not self._in_work

    def _draining(self) -> bool:
        return self._ended or self._flushed or len(self) >= self.options.capacity

    def _ready(self) -> bool:
        if not self._lanes:
            return False
        return self._draining() or any(map(self._is_full, self._lanes))

    def _choose(self) -> Hashable:
        """The lane whose oldest window has been passed by too often; else the oldest full one; else the longest."""

        def age(lane: Hashable) -> int:
            return self._batches - self._lanes[lane][0].batches_before

        eldest = max(self._lanes, key=age)
        if age(eldest) >= self.options.patience:
            return eldest
        full = list(filter(self._is_full, self._lanes))
        return max(full, key=age) if full else max(self._lanes, key=lambda lane: len(self._lanes[lane]))

    def _is_full(self, lane: Hashable) -> bool:
        return len(self._lanes[lane]) >= self._limit(lane)

    def _limit(self, lane: Hashable) -> int:
        return min(self._together(self._lanes[lane][0].item) or self.options.max_batch, self.options.max_batch)

    def _size(self, lane: Hashable) -> int:
        """Windows of the next batch: a worker's fair share of the last ones."""
        if not (self._ended or self._flushed):
            return self._limit(lane)
        return max(1, min(self._limit(lane), -(-len(self) // self.options.workers)))
