"""The picture of a capacity run: latency against streams, and what each stream costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

COLOURS = ("tab:blue", "tab:orange", "tab:green")
LEAST_MS = 1.0
"""lowest value drawn: a final may come up to one frame before its endpoint silence is over"""


def plot(result: dict[str, Any], path: Path) -> None:
    """Left and middle: the promised latencies with their bounds. Right: cores. Bands mark the capacity of each mode."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (finals, lags, cost) = plt.subplots(1, 3, figsize=(15, 4.8), layout="constrained")
    for colour, (mode, data) in zip(COLOURS, result["modes"].items(), strict=False):
        points = data["points"]
        for axes, name in ((finals, "final_over_endpoint"), (lags, "cursor_lag")):
            for mark, style in (("p50", ":"), ("p95", "-"), ("p99", "--")):
                known = [(p["streams"], max(LEAST_MS, p["ms"][name][mark])) for p in points if p["ms"][name]["count"]]
                axes.plot(*zip(*known, strict=True), style, color=colour, marker=".", label=f"{mode}, {mark}")
        streams = [p["streams"] for p in points]
        cores, loop = ([p["server"][name] for p in points] for name in ("cores", "event_loop_cores"))
        cost.plot(streams, cores, color=colour, marker=".", label=f"{mode}, all")
        cost.plot(streams, loop, "--", color=colour, marker=".", label=f"{mode}, event loop")
        for axes in (finals, lags, cost):
            axes.axvline(data["capacity"], color=colour, alpha=0.4, linewidth=4)
    promise = result["promise"]
    finals.axhline(promise["final_over_endpoint_p95_ms"], color="tab:red", linewidth=0.8)
    lags.axhline(promise["cursor_lag_p95_ms"], color="tab:red", linewidth=0.8)
    finals.set(title="Final, beyond the endpoint silence", ylabel="ms", yscale="log")
    lags.set(title="Age of the oldest sound not shown", ylabel="ms", yscale="log")
    cost.set(title="Cost", ylabel="cores", ylim=(0, None))
    for axes in (finals, lags, cost):
        axes.set(xlabel="streams")
        axes.legend(fontsize=8)
    machine = result["machine"]
    figure.suptitle(
        f"Live streams of {result['model']} on {machine['cores']} cores ({machine['cpu']}); bands: capacity"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
