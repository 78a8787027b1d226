from __future__ import annotations

import pytest
from cohear_server.core.audio import AudioDecoder, AudioFormat
from cohear_server.core.ledger import Fate, Ledger
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.integers(8_000, 48_000),
    st.integers(0, 500_000),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["transcribed", "silent", "shed"])), max_size=20),
)
def test_counts_add_up_at_any_rate(rate_hz: int, received: int, cuts: list[tuple[float, Fate]]) -> None:
    decoder = AudioDecoder(AudioFormat(rate_hz, "mulaw", 1))
    decoder.received = received
    ledger = Ledger(decoder)
    total = decoder.to_inner(received)
    moved = 0
    for share, fate in sorted(cuts, key=lambda cut: cut[0]):
        samples = ledger.settle(int(share * total), fate)
        if fate == "transcribed" and not moved:
            moved = samples
    ledger.close("silent")
    ledger.move_to_shed(moved)
    count = ledger.count()
    assert count.transcribed + count.silent + count.shed == count.received == received
    assert min(count.transcribed, count.silent, count.shed) >= 0


def test_settled_audio_cannot_be_settled_again() -> None:
    decoder = AudioDecoder(AudioFormat(16_000, "pcm_s16le", 1))
    decoder.decode(bytes(2_000))
    ledger = Ledger(decoder)
    ledger.settle(500, "silent")
    with pytest.raises(ValueError, match="settled already"):
        ledger.settle(499, "transcribed")
