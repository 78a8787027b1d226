"""Mixes several channels to one, without making speech softer.

The mean of all channels is not good enough: it cancels a voice that is inverted in one channel, and makes a voice in
one of six channels six times softer. Here the weight of a channel follows from its speech: energy that comes and goes,
above the channel's own floor. A channel that is inverted against the one with most speech is inverted back. Where
channels are alike, the result is the mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .sound import Wave

HOP_S = 0.5
FRAME_S = 0.02
BAND_HZ = 8_000
"""channels are compared at about this rate"""
FLOOR_FRAMES = 400
"""The floor of a channel is the level of the lowest tenth of so many frames."""
OVER_FLOOR = 4.0
"""energy above so many times the floor is taken for speech"""
DECAY_S = 5.0
FULL_DB, NONE_DB = -20.0, -30.0
"""Speech of a channel, compared with the channel with most speech: from `FULL_DB` on the channel counts in full, below
`NONE_DB` not at all."""
BESIDE_CENTRE_DB = -50.0
"""Where there is a centre channel, the others are lowered by this: in films, speech is in the centre."""
INVERTED, UPRIGHT = -0.6, -0.2
"""correlation with the channel with most speech"""
FADE_S = 0.01


class Mixer:
    """Takes blocks of [n, channels] in order and gives [n]. The weights that follow from a block are used for that
    block already."""

    def __init__(self, channels: int, rate_hz: int, roles: Sequence[str] = ()) -> None:
        """`roles` are FFmpeg's names of the channels (`FC` front centre, `LFE` low frequencies), where known."""
        self._rate_hz = rate_hz
        self._step = max(rate_hz // BAND_HZ, 1)
        self._frame = max(round(rate_hz * FRAME_S) // self._step, 1)
        self._weight = np.full(channels, 1.0 / channels, np.float32)
        self._sign = np.ones(channels, np.float32)
        self._unheard: list[Wave] = []
        """less than a frame"""
        self._speech = np.zeros(channels, np.float32)
        self._floor = np.zeros((0, channels), np.float32)
        self._moment = np.zeros((channels, channels), np.float32)
        self._prior = _prior(roles) if len(roles) == channels else np.ones(channels, np.float32)

    def push(self, block: Wave) -> Wave:
        if block.shape[1] == 1 or not len(block):
            return block[:, 0]
        if (block[:, 1:] == block[:, :1]).all():
            return block[:, 0]
        hop = max(round(self._rate_hz * HOP_S), 1)
        return np.concatenate([self._mix(block[at : at + hop]) for at in range(0, len(block), hop)])

    def _mix(self, block: Wave) -> Wave:
        before = self._weight
        self._unheard.append(block)
        if sum(map(len, self._unheard)) >= self._frame * self._step:
            self._listen(np.concatenate(self._unheard))
            self._unheard.clear()
        mixed: Wave = block @ self._weight
        fade = min(len(block), max(round(self._rate_hz * FADE_S), 1))
        if not np.array_equal(before, self._weight):
            share = np.linspace(0.0, 1.0, fade, dtype=np.float32)
            mixed[:fade] = mixed[:fade] * share + (block[:fade] @ before) * (1 - share)
        return mixed

    def _listen(self, block: Wave) -> None:
        whole = len(block) // self._step * self._step
        slow = block[:whole].reshape(-1, self._step, block.shape[1]).mean(1)
        sharp = np.diff(slow, axis=0)
        frames = max(len(sharp) // self._frame, 1)
        energy = np.stack([(part**2).mean(0) for part in np.array_split(sharp, frames)]) if len(sharp) else None
        if energy is None or not energy.any():
            return
        self._floor = np.concatenate([self._floor, energy])[-FLOOR_FRAMES:]
        floor = np.partition(self._floor, len(self._floor) // 10, axis=0)[len(self._floor) // 10]
        decay = np.float32(np.exp(-len(block) / self._rate_hz / DECAY_S))
        standing_out = np.maximum(energy - OVER_FLOOR * floor, 0.0).mean(0) * self._prior
        self._speech = np.maximum(self._speech * decay, standing_out)
        self._moment = self._moment * decay**5 + sharp.T @ sharp
        if self._speech.any():
            self._decide()
        elif not self._floor[: -len(energy)].any():  # nothing stands out yet: signs alone can be told
            self._weigh(np.ones_like(self._speech), int(np.argmax(energy.mean(0))))

    def _decide(self) -> None:
        relative_db = 10 * np.log10(np.maximum(self._speech / self._speech.max(), 1e-9))
        share = np.clip((relative_db - NONE_DB) / (FULL_DB - NONE_DB), 0.0, 1.0)
        self._weigh(share, int(np.argmax(self._speech)))

    def _weigh(self, share: Wave, reference: int) -> None:
        power = np.sqrt(np.maximum(np.diag(self._moment) * self._moment[reference, reference], 1e-20))
        alike = self._moment[reference] / power
        sign = self._sign * self._sign[reference]
        sign = np.where(alike < INVERTED, -1.0, np.where(alike > UPRIGHT, 1.0, sign)).astype(np.float32)
        weight = share * sign / share.sum()
        # a mix and its inverse sound the same: take the one that is nearer to the last weights
        turned = -1.0 if float(weight @ self._weight) < 0 else 1.0
        self._sign = sign * np.float32(turned)
        self._weight = (weight * turned).astype(np.float32)


def _prior(roles: Sequence[str]) -> Wave:
    beside = 10 ** (BESIDE_CENTRE_DB / 10) if "FC" in roles and len(roles) > 1 else 1.0
    return np.array([0.0 if "LFE" in role else 1.0 if role == "FC" else beside for role in roles], np.float32)
