from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from cohear_cli import watching
from cohear_cli.inputs import Input
from cohear_cli.watching import OPEN_S, QUIET_S, Watch
from cohear_client.errors import ClientError


class Clock:
    """Time that passes only while the watch waits."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def now(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


class Inbox:
    """A watched folder, and what comes of it."""

    def __init__(self, folder: Path, known: tuple[Input, ...] = ()) -> None:
        self.clock = Clock()
        self.watch = Watch([str(folder)], known, self.clock.now, self.clock.wait)
        self._inputs = self.watch.inputs()

    def within(self, seconds: float) -> list[str]:
        """Names of the files that come."""
        until_s, found = self.clock.now_s + seconds, []
        while self.clock.now_s < until_s:
            one = next(self._inputs)
            if one is not None:
                found.append(one.path.name)
                self.watch.finished(one.path)
        return found


@pytest.fixture(params=[False, True, None], ids=["closed", "open", "unknown"])
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    """What the system says of every file."""
    told: bool | None = request.param
    monkeypatch.setattr(watching, "_is_written", lambda _: told)
    return told


def test_an_inbox_may_be_empty_at_first_and_files_come_once(tmp_path: Path, written: bool | None) -> None:
    inbox = Inbox(tmp_path)
    assert inbox.within(5) == []
    (tmp_path / "a.wav").write_bytes(b"1")
    assert inbox.within(OPEN_S + 5) == ["a.wav"]
    assert inbox.within(OPEN_S + 5) == []


def test_a_file_that_grows_does_not_come_before_it_rests(tmp_path: Path, written: bool | None) -> None:
    inbox = Inbox(tmp_path)
    assert inbox.within(1) == []
    for size in range(1, 6):
        (tmp_path / "a.wav").write_bytes(b"1" * size)
        os.utime(tmp_path / "a.wav", ns=(0, size))
        assert inbox.within(1) == []
    least_s = {False: 0.0, None: QUIET_S, True: OPEN_S}[written]
    assert inbox.within(least_s - 1) == []
    assert inbox.within(4) == ["a.wav"]


def test_a_file_that_was_changed_comes_again_but_not_while_it_is_in_work(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    clock = Clock()
    watch = Watch([str(tmp_path)], (), clock.now, clock.wait)
    coming = watch.inputs()
    one = next(one for one in coming if one is not None)
    (tmp_path / "a.wav").write_bytes(b"12")
    assert [next(coming) for _ in range(10)] == [None] * 10
    watch.finished(one.path)
    assert any(next(coming) == one for _ in range(10))


def test_known_files_are_left_alone_until_they_change(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"1")
    inbox = Inbox(tmp_path, (Input(tmp_path / "a.wav", Path("a.wav")),))
    assert inbox.within(10) == []
    (tmp_path / "a.wav").write_bytes(b"12")
    assert inbox.within(10) == ["a.wav"]


def test_an_empty_file_waits_for_its_content(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    inbox = Inbox(tmp_path)
    assert inbox.within(OPEN_S - 5) == []
    assert inbox.within(10) == ["a.wav"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell")
def test_a_file_that_is_open_for_writing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(b"1")
        assert watching._is_written(path) is not False
    assert watching._is_written(path) is not True
    assert path.read_bytes() == b"1"


def test_there_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="no folder that could be watched"):
        Watch([str(tmp_path / "a.wav")])
