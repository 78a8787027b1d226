"""Standard input, output and error, also if the caller closed them, the disk is full, or the encoding is narrow.

Output that cannot be written ends the command; remarks that cannot be written do not.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from cohear_client.errors import ClientError
from cohear_client.hints import as_here


class _Output(io.TextIOWrapper):
    """Remembers that something could not be written, which argparse, for one, says to nobody."""

    fault: OSError | None = None

    def write(self, text: str, /) -> int:
        with self._remembering():
            return super().write(text)

    def flush(self) -> None:
        with self._remembering():
            super().flush()

    @contextlib.contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            self.fault = self.fault or fault
            raise


def make_fit() -> None:
    """Call it first. Reading from a closed input finds its end, writing to a closed output fails; characters that an
    output's encoding lacks become `?`."""
    if _is_closed("stdin"):
        sys.stdin = _nothing(os.O_RDONLY, "r")
    if _is_closed("stderr"):
        sys.stderr = _nothing(os.O_WRONLY, "w")
    if _is_closed("stdout"):  # opened for reading: what is written there fails, as it does on a full disk
        sys.stdout = _watched(_nothing(os.O_RDONLY, "w"))
    elif sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = _watched(sys.stdout)


def _watched(output: io.TextIOWrapper) -> _Output:
    plain = io.BufferedWriter(io.FileIO(output.fileno(), "w", closefd=False))
    at_once = output.line_buffering or output.write_through
    return _Output(plain, output.encoding, "replace", line_buffering=at_once)


def _is_closed(name: str) -> bool:
    return getattr(sys, name) is None  # as Python has it, though its types do not


def _nothing(flags: int, mode: str) -> Any:
    return os.fdopen(os.open(os.devnull, flags), mode)


def say(remark: str) -> None:
    """A line on standard error, with commands as they are called here."""
    try:
        print(as_here(remark), file=sys.stderr, flush=True)
    except OSError:  # nobody can be told; the work goes on
        _let_go(sys.stderr)


def print_json(data: Any, indent: int | None = None) -> None:
    """One value, at once. Characters that the output's encoding lacks are escaped, as JSON allows."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(data, ensure_ascii=False, indent=indent, separators=separators)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(data, indent=indent, separators=separators)
    print(text, flush=True)


def finish_output() -> None:
    """Have all output written. Raises ClientError(`cannot_write`), or BrokenPipeError where its reader has gone."""
    fault: OSError | None = None
    try:
        sys.stderr.flush()
    except OSError:
        _let_go(sys.stderr)
    try:
        sys.stdout.flush()
    except OSError as unwritten:
        fault = unwritten
    if isinstance(sys.stdout, _Output):
        fault, sys.stdout.fault = sys.stdout.fault, None
    if fault is None:
        return
    _let_go(sys.stdout)
    if isinstance(fault, BrokenPipeError):
        raise fault
    raise ClientError(
        "cannot_write", f"standard output cannot be written ({fault.strerror})", "make room, or write elsewhere"
    ) from fault


def _let_go(stream: TextIO) -> None:
    """Nothing more reaches it, and the flush at exit does not fail."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
