"""Files in, transcripts out: one thread reads and splits, workers decode, the caller takes events as they come.

    inputs -> reader: cache? decode, detect speech, split -> Pool (bounded) -> workers: engine -> Finished

However many or long the files are, memory holds the pool's windows and the text of the files in work. A file that
cannot be read, or a window that cannot be decoded, ends that file and no other.
"""

from __future__ import annotations

import queue
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cohear_client.fileevents import Advanced, Event, Finished, Started
from cohear_client.transcript import Transcript

from ..core.jobs import SAMPLE_RATE_HZ, DecodeJob, DecodeResult, JobKind, Pcm
from ..decoding.backend import ModelInfo
from ..errors import CohearError, ServerError
from .memory import Memory
from .options import HearingOptions
from .pool import Pool, PoolOptions
from .sources import Source
from .speech import make_detector
from .splitter import Splitter, Window
from .text import Heard, WindowText, heard, placed, transcript

EVENTS = 256
"""that may wait for the caller; workers wait while there are as many"""


class Decoder(Protocol):
    """The engine, as far as files need it; called from several threads."""

    info: ModelInfo

    def decode(self, batch: Sequence[DecodeJob], temperature: float) -> list[DecodeResult]:
        """One result a job, in order; a job that fails has `error` set and harms no neighbour."""
        ...

    def together(self, job: DecodeJob) -> int | None:
        """How many windows of this one's length make a batch at most; None where nothing speaks against more."""
        ...

    def language_of(self, job: DecodeJob) -> str:
        """The language of one window."""
        ...


class _NoDecoder(Exception):
    """The engine cannot be had; its cause says why. No file is at fault."""


@dataclass(slots=True)
class _File:
    """A file in work."""

    path: Path
    key: str = ""
    language: str | None = None
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
    """A window that waits to be decoded, and the best text of those it was given."""

    file: _File
    number: int
    window: Window
    job: DecodeJob
    span_s: float
    """from the end of the window before it"""
    together: int | None
    """how many windows of its length make a batch at most"""
    step: int = 0
    """of the temperatures"""
    best: Heard | None = None


class Pipeline:
    def __init__(
        self, load: Callable[[], Decoder], hearing: HearingOptions, pool: PoolOptions, memory: Memory | None = None
    ) -> None:
        """`load` gives the engine; it is called once, when the first window is there."""
        self._load = load
        self._hearing = hearing
        self._workers = pool.workers
        self._pool: Pool[_Item] = Pool(pool, lambda item: item.together)
        self._memory = memory or Memory(None, "")
        self._events: queue.Queue[Event | BaseException | None] = queue.Queue(EVENTS)
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._decoder: Decoder | None = None
        self._loading = threading.Lock()

    def run(self, inputs: Iterable[Path | None]) -> Iterator[Event]:
        """Events, in the order in which things happen, until all files are finished. Call it once.

        None among the inputs says that no file comes soon. Raises what `load` raises. Ends cleanly when it is closed
        or interrupted: batches in the engine are waited for, the rest is dropped."""
        threads = [threading.Thread(target=self._read_all, args=(inputs,), name="read", daemon=True)]
        threads += [threading.Thread(target=self._work, name=f"decode-{n}", daemon=True) for n in range(self._workers)]
        running = len(threads)
        for thread in threads:
            thread.start()
        try:
            while running:
                event = self._events.get()
                if event is None:
                    running -= 1
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event
        finally:
            self._closed.set()
            self._pool.close()
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

    # the reader's side

    def _read_all(self, inputs: Iterable[Path | None]) -> None:
        try:
            for path in inputs:
                if self._closed.is_set():
                    break
                if path is None:
                    self._pool.flush()
                else:
                    self._read(path)
        except BaseException as fault:  # noqa: BLE001 it is raised in the caller's thread
            self._emit(fault.__cause__ if isinstance(fault, _NoDecoder) else fault)
        self._pool.end()
        self._emit(None)

    def _read(self, path: Path) -> None:
        file = _File(path)
        count = 0
        try:
            file.key = self._memory.file_key(path)
            known = self._memory.file(file.key)
            if known is not None:
                self._emit(Finished(path, known[0], None, known[1], cached=True))
                return
            with Source(path) as source:
                self._emit(Started(path, source.duration_s))
                for window in self._windows(file, source):
                    if not self._take(file, count, window):
                        return
                    count += 1
        except _NoDecoder:
            raise
        except CohearError as fault:
            file.fault = fault
        except Exception as fault:  # noqa: BLE001 the libraries below raise anything, and other files must not suffer
            file.fault = ServerError("failed", f"{path}: could not be read: {fault!r:.200}", "convert it to wav")
        with self._lock:
            file.windows = count
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
        span_s, file.split_to_s = end_s - file.split_to_s, end_s
        said = self._memory.window(window.pcm)
        if said is not None:
            self._settle(file, number, placed(window, said), span_s)
            return not self._closed.is_set()
        decoder = self._engine()
        if file.language is None:
            file.language = self._language(decoder, window)
        job = self._job(decoder, window, file.language)
        item = _Item(file, number, window, job, span_s, decoder.together(job))
        return self._pool.put(self._lane(decoder, item), item)

    def _language(self, decoder: Decoder, window: Window) -> str:
        if self._hearing.language is not None:
            return self._hearing.language
        if len(decoder.info.languages) == 1:
            return decoder.info.languages[0]
        return decoder.language_of(self._job(decoder, window, None))

    def _job(self, decoder: Decoder, window: Window, language: str | None) -> DecodeJob:
        options = self._hearing.decode_options(decoder.info.name, language)
        return DecodeJob("", "", "", 0, window.pcm, JobKind.FINAL, 0.0, options)

    def _lane(self, decoder: Decoder, item: _Item) -> tuple[float, int, str | None]:
        length_s = len(item.window.pcm) / SAMPLE_RATE_HZ
        return self._temperature(item), bisect_left(decoder.info.window_steps_s, length_s), item.file.language

    def _engine(self) -> Decoder:
        with self._loading:
            if self._decoder is None:
                try:
                    self._decoder = self._load()
                except Exception as fault:
                    raise _NoDecoder from fault
            return self._decoder

    # the workers' side

    def _work(self) -> None:
        try:
            while batch := self._pool.take():
                try:
                    self._decode(self._engine(), batch)
                finally:
                    self._pool.done()
        except BaseException as fault:  # noqa: BLE001 it is raised in the caller's thread
            self._emit(fault.__cause__ if isinstance(fault, _NoDecoder) else fault)
        self._emit(None)

    def _decode(self, decoder: Decoder, batch: Sequence[_Item]) -> None:
        results = decoder.decode([item.job for item in batch], self._temperature(batch[0]))
        for item, result in zip(batch, results, strict=True):
            if result.error is not None:
                with self._lock:
                    item.file.fault = _with_name(item.file.path, result.error)
                self._settle(item.file, item.number, None, item.span_s)
                continue
            said = heard(result, self._temperature(item))
            item.best = said if item.best is None or self._looks_better(said, item.best) else item.best
            if self._looks_wrong(said) and item.step + 1 < len(self._hearing.temperatures):
                item.step += 1
                self._pool.put_back(self._lane(decoder, item), item)
                continue
            self._memory.keep_window(item.window.pcm, item.best)
            self._settle(item.file, item.number, placed(item.window, item.best), item.span_s)

    def _temperature(self, item: _Item) -> float:
        return self._hearing.temperatures[item.step]

    def _looks_wrong(self, said: Heard) -> bool:
        options = self._hearing
        silent = said.no_speech_prob > options.no_speech_threshold
        unlikely = said.avg_logprob < options.logprob_threshold and not silent
        return bool(said.words) and (unlikely or said.compression_ratio > options.compression_ratio_threshold)

    def _looks_better(self, said: Heard, other: Heard) -> bool:
        looped = said.compression_ratio > self._hearing.compression_ratio_threshold
        other_looped = other.compression_ratio > self._hearing.compression_ratio_threshold
        return (not looped, said.avg_logprob) > (not other_looped, other.avg_logprob)

    def _settle(self, file: _File, number: int, text: WindowText | None, span_s: float) -> None:
        with self._lock:
            file.texts[number] = text
        self._emit(Advanced(file.path, span_s))
        self._complete(file)

    def _complete(self, file: _File) -> None:
        """Tell of a file when it is read to its end and all its windows are decoded."""
        with self._lock:
            if file.told or file.windows is None or len(file.texts) < file.windows or self._closed.is_set():
                return
            file.told = True
            texts = [text for n in sorted(file.texts) if (text := file.texts[n]) is not None]
        whole: Transcript | None = None
        if file.fault is None or file.fault.code == "truncated":
            whole = transcript(texts, self._decoder.info.name if self._decoder else "")
        if whole is not None and file.fault is None:
            self._memory.keep_file(file.key, whole, file.audio_s)
        self._emit(Finished(file.path, whole, file.fault, file.audio_s))


def _with_name(path: Path, fault: CohearError) -> CohearError:
    return type(fault)(fault.code, f"{path}: {fault.message}", fault.remedy)
