"""Calibration: from the decoder's probability of a word to how often such words are right.

Whisper's token probabilities are not the share of right words. Platt scaling (J. Platt, Probabilistic outputs for
support vector machines, 1999; for neural networks C. Guo et al., On calibration of modern neural networks, 2017)
corrects that with two numbers for each model:

    calibrated = sigmoid(slope * logit(p) + offset)

It keeps the order of words. `bench/calibrate.py` fits it on speakers who are in no test, and puts it into the profile.
It is fitted on greedy finals; with beams the decoder gives each word the mean of its text (see `whisper`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EDGE = 1e-3
"""probabilities stay at least this far from 0 and 1: beyond it the decoder's digits mean nothing"""
STEPS = 50
BINS = 15


@dataclass(frozen=True, slots=True)
class Calibration:
    slope: float
    """above 0; under 1 where the model is too sure of itself"""
    offset: float

    def apply(self, probability: float) -> float:
        held = min(max(probability, EDGE), 1 - EDGE)
        return 1 / (1 + math.exp(-self.slope * math.log(held / (1 - held)) - self.offset))


def calibration_of(table: Mapping[str, object]) -> Calibration:
    """The calibration of a profile's table [calibration]. Raises ValueError if the table is wrong."""
    slope, offset = table.get("slope"), table.get("offset")
    if not isinstance(slope, int | float) or not isinstance(offset, int | float) or not 0 < slope < math.inf:
        raise ValueError("[calibration] must have slope, above 0, and offset")
    return Calibration(float(slope), float(offset))


def fit(probabilities: Sequence[float], right: Sequence[bool]) -> Calibration:
    """The most likely slope and offset, by Newton's method. Raises ValueError unless words of both kinds are there."""
    p = np.clip(np.asarray(probabilities, float), EDGE, 1 - EDGE)
    y = np.asarray(right, float)
    if not 0 < y.sum() < len(y):
        raise ValueError("a calibration needs right words and wrong ones")
    x = np.stack([np.log(p / (1 - p)), np.ones_like(p)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(STEPS):
        guess = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (guess * (1 - guess))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (y - guess))
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return Calibration(round(float(weights[0]), 4), round(float(weights[1]), 4))


def calibration_error(probabilities: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """Expected calibration error, 0..1: words are sorted by probability into `bins` of equal numbers, and the
    distances between mean probability and share of right words averaged (M. Naeini et al., AAAI 2015; bins of equal
    mass as J. Nixon et al., Measuring calibration in deep learning, 2019)."""
    order = np.argsort(np.asarray(probabilities, float), kind="stable")
    p, y = np.asarray(probabilities, float)[order], np.asarray(right, float)[order]
    groups: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = [
        pair for pair in zip(np.array_split(p, bins), np.array_split(y, bins), strict=True) if len(pair[0])
    ]
    return float(sum(len(a) * abs(a.mean() - b.mean()) for a, b in groups) / max(1, len(p)))
