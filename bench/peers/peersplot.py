"""The picture of a comparison: how many streams each server carries, and how late it is with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .promise import PROMISES
from .rivals import ENDPOINT_MS, RIVALS

SHADES = ("#1b4f8f", "#5d8fc9", "#a9c6e8", "#d7d7d7")


def plot(result: dict[str, Any], path: Path) -> None:
    """Left: streams at each promise. Then finals, text and word error against the number of streams."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (bars, finals, lags, errors) = plt.subplots(1, 4, figsize=(19, 5), layout="constrained")
    rows = [row for row in result["rows"] if "failed" not in row]
    names = [name for name in RIVALS if any(row["name"] == name for row in rows)]
    height = 0.8 / len(PROMISES)
    for i, (promise, shade) in enumerate(zip(PROMISES, SHADES, strict=True)):
        streams = [result["promises"][promise.name]["streams"][name] for name in names]
        places = [place + i * height for place in range(len(names))]
        drawn = bars.barh(places, streams, height, color=shade, label=promise.title)
        bars.bar_label(drawn, padding=2, fontsize=7)
    bars.set_yticks([place + 1.5 * height for place in range(len(names))], [RIVALS[name].title for name in names])
    bars.invert_yaxis()
    bars.set(title="Streams carried", xlabel="streams")
    for name in names:
        points = sorted((row for row in rows if row["name"] == name), key=lambda row: int(row["streams"]))
        for axes, measure in ((finals, RIVALS[name].judged), (lags, "lag")):
            measured = [(row["streams"], row["ms"][measure]) for row in points]
            known = [(streams, max(10.0, marks["p95"])) for streams, marks in measured if marks["count"]]
            axes.plot(*zip(*known, strict=True), marker=".", label=RIVALS[name].title)
        known = [(row["streams"], row["word_error"]["wer_percent"]) for row in points if row["word_error"]]
        errors.plot(*zip(*known, strict=True), marker=".")
    strict = PROMISES[0]
    finals.axhline(ENDPOINT_MS + strict.final_over_endpoint_ms, color="tab:red", linewidth=0.8)
    lags.axhline(strict.lag_ms or 0.0, color="tab:red", linewidth=0.8)
    finals.set(title="End of speech to final, p95", ylabel="ms", yscale="log")
    lags.set(title="Age of the oldest word not shown, p95", ylabel="ms", yscale="log")
    errors.set(title="Word error", ylabel="%", ylim=(0, 100))
    for axes in (finals, lags, errors):
        axes.set(xlabel="streams", xscale="log")
        ticks = sorted({row["streams"] for row in rows if row["streams"].bit_count() == 1})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    bars.legend(fontsize=7)
    finals.legend(fontsize=7)
    machine = result["machine"]
    where = f"{machine['cores']} cores ({machine['cpu']})"
    figure.suptitle(f"Live streams of sentence after sentence, {result['model']} int8, {where}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
