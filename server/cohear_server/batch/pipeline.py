"""Files in, transcripts out: one thread reads and splits, another dispatches, the caller takes events as they come.

    inputs -> reader: cache? decode, detect speech, split -> Feed (bounded) -> backend -> text -> Finished

Memory holds only the windows that wait and the text of the files in work, however many or long the files are. A file
that cannot be read, or a window that cannot be decoded, ends that file and no other.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cohear_client.fileevents import Advanced, Event, Finished, Started
from cohear_client.files import DAMAGES
from cohear_client.transcript import Transcript

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind, Pcm
from ..engine.backend import DecodeBackend
from ..errors import CohearError, ServerError
from ..scheduling.throughput import ThroughputOptions
from .feed import Feed
from .language import FileLanguage
from .memory import Memory
from .options import HearingOptions
from .sources import Source
from .speech import make_detector
from .splitter import Splitter, Window
from .text import WindowText, placed, transcript

EVENTS = 256
"""Most events that wait for the caller; when there are so many, the dispatcher waits."""


class _NoModel(Exception):
    """The model cannot be had; its cause says why. No file is at fault."""


@dataclass(slots=True)
class _File:
    """A file in work."""

    path: Path
    key: str = ""
    spoken: FileLanguage = field(default_factory=FileLanguage)
    asking: _Item | None = None
    """the window that is decoded to tell the language"""
    parked: list[_Item] = field(default_factory=list)
    """windows that wait for the language"""
    doubtful: list[tuple[_Item, DecodeResult]] = field(default_factory=list)
    """windows that were decoded before the language was settled"""
    over: bool = False
    """its last window was accepted"""
    texts: dict[int, WindowText | None] = field(default_factory=dict)
    windows: int | None = None
    """how many there are, once it is read to its end"""
    audio_s: float = 0.0
    split_to_s: float = 0.0
    """the end of its last window so far"""
    fault: CohearError | None = None
    told: bool = False


@dataclass(slots=True)
class _Item:
    """A window to be heard."""

    file: _File
    number: int
    window: Window
    span_s: float
    """from the end of the window before it"""
    job_id: str = ""
    recalled: bool = False
    """the memory was asked for it"""


class Pipeline:
    def __init__(
        self,
        backend: DecodeBackend,
        hearing: HearingOptions,
        options: ThroughputOptions,
        memory: Memory | None = None,
    ) -> None:
        """`backend` is started for the first window that is not in the memory, and closed at the end."""
        self._backend = backend
        self._hearing = hearing
        self._feed = Feed(backend, options)
        self._memory = memory or Memory(None, "", hearing)
        self._events: queue.Queue[Event | BaseException | None] = queue.Queue(EVENTS)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._model = ""
        """its name, once it is loaded"""

    def run(self, inputs: Iterable[Path | None]) -> Iterator[Event]:
        """Events, in the order in which things happen, until all files are finished. Call it once.

        None among the inputs says that no file comes soon. Raises what starting the backend raises. Ends cleanly when
        it is closed or interrupted: batches in the engine are waited for, the rest is dropped."""
        threads = [
            threading.Thread(target=self._dispatch, name="dispatch", daemon=True),
            threading.Thread(target=self._read_all, args=(inputs,), name="read", daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            while (event := self._events.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._closed.set()
            self._feed.close()
            while any(thread.is_alive() for thread in threads):
                self._drop_events()
                for thread in threads:
                    thread.join(0.05)

    def _drop_events(self) -> None:
        try:
            while True:
                self._events.get_nowait()
        except queue.Empty:
            return

    def _emit(self, event: Event | BaseException | None) -> None:
        while not self._closed.is_set():
            try:
                self._events.put(event, timeout=0.2)
                return
            except queue.Full:
                continue

    def _dispatch(self) -> None:
        try:
            self._feed.run()
        except BaseException as fault:  # noqa: BLE001 it is raised in the caller's thread
            self._emit(fault)
        self._emit(None)

    # the reader's side

    def _read_all(self, inputs: Iterable[Path | None]) -> None:
        try:
            for path in inputs:
                if self._closed.is_set():
                    break
                if path is None:
                    self._feed.flush()
                else:
                    self._read(path)
        except BaseException as fault:  # noqa: BLE001 it is raised in the caller's thread
            self._emit(fault.__cause__ if isinstance(fault, _NoModel) else fault)
        self._feed.end()

    def _read(self, path: Path) -> None:
        file = _File(path, spoken=FileLanguage(self._hearing.language, self._hearing.languages))
        count = 0
        try:
            file.key = self._memory.file_key(path)
            known = self._memory.file(file.key)
            if known is not None:
                self._emit(Finished(path, known[0], None, known[1], cached=True))
                return
            with Source(path, self._hearing.choice) as source:
                self._emit(Started(path, source.duration_s))
                for window in self._windows(file, source):
                    if not self._take(file, count, window):
                        return
                    count += 1
        except _NoModel:
            raise
        except CohearError as fault:
            file.fault = fault
        except Exception as fault:  # noqa: BLE001 the libraries below raise anything, and other files must not suffer
            file.fault = ServerError("failed", f"{path}: could not be read: {fault!r:.200}", "convert it to wav")
        with self._lock:
            file.windows = count
        self._feed.hand_over(partial(self._read_to_end, file))
        self._complete(file)

    def _windows(self, file: _File, source: Source) -> Iterator[Window]:
        def counted() -> Iterator[Pcm]:
            for block in source.blocks():
                file.audio_s += len(block) / SAMPLE_RATE_HZ
                yield block

        splitter = Splitter(self._hearing.split, make_detector(self._hearing.vad))
        return splitter.windows(counted())

    def _take(self, file: _File, number: int, window: Window) -> bool:
        """False if the run was closed."""
        end_s = window.end / SAMPLE_RATE_HZ
        item = _Item(file, number, window, end_s - file.split_to_s)
        file.split_to_s = end_s
        # the others of a file whose language is not known yet are looked up when it is
        if (number == 0 or file.spoken.language is not None) and self._recall(item):
            if file.spoken.language is None:  # it may have to be heard again
                self._start()
            return not self._closed.is_set()
        self._start()
        if not self._feed.enter():
            return False
        self._feed.hand_over(partial(self._accept, item))
        return True

    def _start(self) -> None:
        if not self._model:
            try:
                self._feed.start()
            except Exception as fault:
                raise _NoModel from fault
            self._model = self._backend.model.name

    # on either side

    def _recall(self, item: _Item) -> bool:
        """Look the window up in the memory, and take in what was found. False if it is not there."""
        item.recalled = True
        result = self._memory.window(self._job(item))
        if result is not None:
            self._heard(item, result)
        return result is not None

    def _job(self, item: _Item) -> DecodeJob:
        options = self._hearing.decode_options(self._model, item.file.spoken.language)
        return DecodeJob("", str(item.file.path), "", item.number, item.window.pcm, JobKind.FINAL, math.inf, options)

    def _heard(self, item: _Item, result: DecodeResult) -> None:
        """Take in what was heard in a window."""
        file = item.file
        if file.spoken.language is not None:
            self._settle(item, placed(item.window, result))
            return
        file.doubtful.append((item, result))
        file.spoken.observe(result, len(item.window.pcm) / SAMPLE_RATE_HZ)
        self._conclude(file)

    # the dispatcher's side

    def _accept(self, item: _Item) -> None:
        """Decode a window of the reader. Until the language of a file is settled, only one of its windows at a time."""
        file = item.file
        unsettled = file.spoken.language is None
        if unsettled and file.asking is not None:
            if not file.parked:
                self._feed.hurry(file.asking.job_id)
            file.parked.append(item)
        elif not item.recalled and self._recall(item):
            self._feed.leave()
        else:
            if unsettled:
                file.asking = item
            self._decode(item)

    def _decode(self, item: _Item, *, again: bool = False) -> None:
        job = self._job(item)
        item.job_id = self._feed.submit(job, partial(self._delivered, item, job), again=again)

    def _read_to_end(self, file: _File) -> None:
        """All windows of the file are there: its language is settled by these."""
        file.over = True
        self._conclude(file)

    def _conclude(self, file: _File) -> None:
        """Once the language is settled: windows that were decoded in another language are decoded again."""
        over = file.over and file.asking is None and not file.parked
        language = file.spoken.settle() if over else file.spoken.language
        if language is None and not over:
            return
        doubtful, file.doubtful = file.doubtful, []
        for item, result in doubtful:
            if not result.words or result.language == language:
                self._settle(item, placed(item.window, result))
            elif not self._recall(item):
                self._decode(item, again=True)

    def _delivered(self, item: _Item, job: DecodeJob, result: DecodeResult) -> None:
        try:
            self._decoded(item, job, result)
        except Exception as fault:  # noqa: BLE001 it is raised in the caller's thread
            self._emit(fault)

    def _decoded(self, item: _Item, job: DecodeJob, result: DecodeResult) -> None:
        file = item.file
        asked = file.asking is item
        if asked:
            file.asking = None
        if result.error is not None:
            with self._lock:
                file.fault = _with_name(file.path, result.error)
            self._settle(item, None)
        else:
            self._memory.keep_window(job, result)
            self._heard(item, result)
        if asked:
            parked, file.parked = file.parked, []
            for one in parked:
                self._accept(one)
            self._conclude(file)

    def _settle(self, item: _Item, text: WindowText | None) -> None:
        with self._lock:
            item.file.texts[item.number] = text
        self._emit(Advanced(item.file.path, item.span_s))
        self._complete(item.file)

    def _complete(self, file: _File) -> None:
        """Emit `Finished` when the file is read to its end and all its windows are decoded."""
        with self._lock:
            if file.told or file.windows is None or len(file.texts) < file.windows or self._closed.is_set():
                return
            file.told = True
            texts = [text for n in sorted(file.texts) if (text := file.texts[n]) is not None]
        whole: Transcript | None = None
        if file.fault is None or file.fault.code in DAMAGES:
            whole = transcript(texts, self._model)
        if whole is not None and file.fault is None:
            self._memory.keep_file(file.key, whole, file.audio_s)
        self._emit(Finished(file.path, whole, file.fault, file.audio_s))


def _with_name(path: Path, fault: CohearError) -> CohearError:
    return type(fault)(fault.code, f"{path}: {fault.message}", fault.remedy)
