from __future__ import annotations

import pytest
from cohear_client import ClientError
from cohear_client.protocol import Configure, Finalize, Start, Stop
from cohear_client.replay import MAX_REQUESTS, Replay, Request
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

FRAME_BYTES = 1 << 20


def samples(count: int, first: int = 0) -> bytes:
    """16-bit samples that count up."""
    return b"".join(((first + i) % 65_536).to_bytes(2, "little") for i in range(count))


def everything(replay: Replay) -> list[bytes | Request]:
    """What goes out over a connection until nothing more is to be said."""
    said = []
    while (part := replay.take(FRAME_BYTES)) is not None:
        said.append(part)
    return said


def test_what_is_not_settled_fills_it() -> None:
    replay = Replay(Start(), keep_s=0.1)
    replay.append(samples(1_600))
    assert not replay.fits(b"ab")
    everything(replay)
    replay.settle(1)
    assert replay.fits(b"ab")
    assert not replay.fits(b"abcd")


def test_audio_goes_out_in_frames_of_a_second_and_requests_in_their_places() -> None:
    replay = Replay(Start())
    replay.append(samples(20_000))
    replay.ask(Finalize("a"))
    replay.append(samples(10))
    replay.ask(Stop())
    first, rest, mark, last, stop = everything(replay)
    assert (first, rest, last) == (samples(16_000), samples(4_000, 16_000), samples(10))
    assert (mark, stop) == (Finalize("a"), Stop())


def test_nothing_is_settled_before_it_was_sent() -> None:
    replay = Replay(Start())
    replay.append(samples(100))
    replay.settle(100)
    assert replay.start == 0


def test_a_resumed_session_is_told_what_it_cannot_know() -> None:
    replay = Replay(Start())
    replay.ask(Configure(language="de"))
    replay.append(samples(100))
    replay.ask(Finalize("heard"))
    replay.append(samples(100))
    replay.ask(Finalize("perhaps"))
    replay.append(samples(100))
    everything(replay)
    replay.resume(200)
    assert everything(replay) == [Finalize("perhaps"), samples(100)], "what was asked before heard audio was heard, too"
    assert replay.answered("heard")
    assert not replay.answered("heard"), "an answer that came before"
    assert not replay.awaits("heard")
    assert replay.awaits("perhaps")


def test_a_new_session_begins_with_the_options_of_its_place() -> None:
    replay = Replay(Start(language="en"))
    replay.ask(Configure(language="de", prompt="Cohear"))
    replay.append(samples(100))
    replay.ask(Configure(language="fr"))
    replay.append(samples(100))
    replay.ask(Finalize("a"))
    everything(replay)
    replay.settle(50)
    replay.renew()
    assert replay.options == Start(language="de", prompt="Cohear")
    assert everything(replay) == [samples(50, 50), Configure(language="fr"), samples(100), Finalize("a")]
    replay.settle(200)
    replay.renew()
    assert replay.options == Start(language="fr", prompt="Cohear")
    assert everything(replay) == [Finalize("a")], "not answered: asked again, although its audio is final"


def test_requests_are_bounded() -> None:
    replay = Replay(Start())
    for _ in range(MAX_REQUESTS):
        replay.ask(Finalize("again"))
    with pytest.raises(ClientError, match="requests wait"):
        replay.ask(Finalize("again"))


class Sessions(RuleBasedStateMachine):
    """Servers that hear a stream, forget it, and settle as they please: each hears all from its place on, once."""

    def __init__(self) -> None:
        super().__init__()
        self.replay = Replay(Start(), keep_s=0.01)
        self.said = 0
        self.asked: list[tuple[int, int]] = []
        self.heard = 0  # by the present session, as a place in the stream
        self.marks: list[tuple[int, int]] = []  # that it was told, and where
        self.language = 0  # of the present session
        self.languages: list[tuple[int, int]] = [(0, 0)]  # from where on which holds

    @rule(count=st.integers(1, 200))
    def send(self, count: int) -> None:
        piece = samples(count, self.said)
        if self.replay.fits(piece):
            self.replay.append(piece)
            self.said += count
        assert self.replay.end - self.replay.start <= 160

    @rule()
    def finalize(self) -> None:
        self.asked.append((len(self.asked), self.said))
        self.replay.ask(Finalize(str(len(self.asked) - 1)))

    @rule()
    def configure(self) -> None:
        self.languages.append((self.said, len(self.languages)))
        self.replay.ask(Configure(language=f"l{len(self.languages) - 1}"))

    @rule(frames=st.integers(1, 5), size=st.integers(2, 99))
    def hear(self, frames: int, size: int) -> None:
        for _ in range(frames):
            part = self.replay.take(size)
            if isinstance(part, bytes):
                assert part == samples(len(part) // 2, self.heard), "the session hears all of it, in order, once"
                wanted = max(number for place, number in self.languages if place <= self.heard)
                assert self.language == wanted, "under the options of its place"
                self.heard += len(part) // 2
            elif isinstance(part, Finalize):
                _, place = self.asked[int(part.id)]
                assert self.heard == max(place, self.replay.start), "in its place"
            elif isinstance(part, Configure):
                self.language = int(str(part.language)[1:])

    @rule(share=st.floats(0, 1))
    def settle(self, share: float) -> None:
        self.replay.settle(round(self.replay.start + share * (self.heard - self.replay.start)))

    @rule(lost=st.integers(0, 50))
    def cut(self, lost: int) -> None:
        """What was on its way is lost, requests with it where audio behind them is."""
        self.heard = max(self.replay.start, self.heard - lost)
        self.language = max(number for place, number in self.languages if place < self.heard or place == 0)
        self.replay.resume(self.heard)

    @rule()
    def restart(self) -> None:
        self.heard = self.replay.start
        self.replay.renew()
        self.language = int(str(self.replay.options.language)[1:]) if self.replay.options.language else 0

    @precondition(lambda self: bool(self.asked))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        number, _ = data.draw(st.sampled_from(self.asked))
        awaited = self.replay.awaits(str(number))
        assert self.replay.answered(str(number)) == awaited

    @invariant()
    def only_what_is_not_settled_is_kept(self) -> None:
        assert self.replay.start <= self.replay.sent <= self.replay.end == self.said


TestSessions = Sessions.TestCase


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(0, 1_500))
def test_what_is_kept_is_what_was_sent(sizes: list[int], settled: int) -> None:
    replay, sent = Replay(Start()), b""
    for size in sizes:
        replay.append(samples(size, len(sent) // 2))
        sent += samples(size, len(sent) // 2)
    everything(replay)
    replay.settle(settled)
    replay.renew()
    assert b"".join(part for part in everything(replay) if isinstance(part, bytes)) == sent[2 * settled :]
