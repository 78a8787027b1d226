from __future__ import annotations

import builtins
import sys
from types import ModuleType
from typing import Any

import pytest
from cohear_client import ClientError, Microphone
from cohear_client.mic import input_devices


class PortAudioError(Exception):
    pass


class Card:
    """A sound card that records what the test says."""

    last: Card

    def __init__(self, *, device: Any, callback: Any, **settings: Any) -> None:
        if device == "none":
            raise PortAudioError("no such device")
        self.callback = callback
        self.settings = settings
        self.open = False
        Card.last = self

    def start(self) -> None:
        self.open = True

    def stop(self) -> None:
        self.open = False

    def close(self) -> None:
        assert not self.open


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("sounddevice")
    module.RawInputStream = Card
    module.PortAudioError = PortAudioError
    module.query_devices = lambda: [
        {"name": "speaker", "max_input_channels": 0},
        {"name": "headset", "max_input_channels": 1},
    ]
    monkeypatch.setitem(sys.modules, "sounddevice", module)


async def test_blocks_come_until_it_is_closed() -> None:
    async with Microphone() as microphone:
        assert Card.last.settings["samplerate"] == microphone.start(language="en").sample_rate
        Card.last.callback(b"ab", 1, None, None)
        blocks = microphone.blocks()
        assert await anext(blocks) == b"ab"
        Card.last.callback(b"cd", 1, None, None)
        assert await anext(blocks) == b"cd"
        microphone.close()
        assert [b async for b in blocks] == []
    assert microphone.dropped_samples == 0


async def test_a_sender_a_minute_behind_costs_the_oldest_audio_and_times_stay() -> None:
    async with Microphone() as microphone:
        for number in range(3_050):
            microphone._push((number + 1).to_bytes(2, "little") * 320)
        blocks = microphone.blocks()
        heard = [await anext(blocks) for _ in range(60)]
        for number in range(3_050, 3_060):
            microphone._push((number + 1).to_bytes(2, "little") * 320)
        microphone.close()
        heard += [b async for b in blocks]
    assert microphone.dropped_samples == 50 * 320
    assert microphone.dropped == [(0.0, 1.0)]
    assert heard[:50] == [bytes(640)] * 50, "silence in its place"
    assert [int.from_bytes(b[:2], "little") for b in heard[50:]] == list(range(51, 3_061))


async def test_no_such_device() -> None:
    with pytest.raises(ClientError, match="no such device"):
        async with Microphone("none"):
            pass


def test_only_inputs_are_listed() -> None:
    assert input_devices() == ["  1  headset (1 channels)"]


@pytest.mark.parametrize(("fault", "remedy"), [(ImportError(), "cohear[mic]"), (OSError("PortAudio"), "libportaudio2")])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, fault: Exception, remedy: str) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any) -> Any:
        if name == "sounddevice":
            raise fault
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ClientError) as caught:
        input_devices()
    assert remedy in caught.value.remedy
