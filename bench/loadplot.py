"""The picture of a load: histograms of its latencies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measures import HISTOGRAM_EDGES_MS

PANELS = {
    "final_over_endpoint": "final, beyond the endpoint silence",
    "final_service": "final, the server's own time",
    "first_partial": "start of speech to first partial",
    "cursor_lag": "age of the oldest sound not shown",
    "partial_interval": "between partials",
    "word_shown": "word to its first showing",
}


def plot(report: dict[str, Any], path: Path) -> None:
    """Histograms of one report, with p50, p95 and p99."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, grid = plt.subplots(2, 3, figsize=(13, 6.5), layout="constrained")
    edges = (HISTOGRAM_EDGES_MS[0] / 1.6, *HISTOGRAM_EDGES_MS, HISTOGRAM_EDGES_MS[-1] * 1.6)
    for axes, (name, title) in zip(grid.flat, PANELS.items(), strict=True):
        row = report["ms"][name]
        axes.set(title=title, xscale="log", xlabel="ms")
        if row["count"]:
            axes.stairs(row["histogram"], edges, fill=True, alpha=0.5)
            for mark, style in (("p50", "-"), ("p95", "--"), ("p99", ":")):
                axes.axvline(
                    max(row[mark], edges[0]), linestyle=style, color="tab:red", label=f"{mark} {row[mark]:.0f}"
                )
            axes.legend(fontsize=8)
    figure.suptitle(f"{report['streams']} streams" + ("" if report["valid"] else " (invalid: the generator was late)"))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
