"""Every promised number beside what was reached, from the result files: summary.json and the table of a page.

    python bench/summary.py [--results bench/results] [--page docs/performance.md]

Nothing is measured here. A number whose result file is missing is said to be not measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marks import fill_in, measured_on, table
from speech import circumstances, write_result

Results = dict[str, dict[str, Any]]
"""result files by name, without those that are missing"""


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    goal: str
    how: str
    reached: Callable[[Results], str]
    """raises KeyError where something was not measured"""


def mode(results: Results, name: str) -> dict[str, Any]:
    found: dict[str, Any] = results["capacity"]["modes"][name]
    return found


def continuous(results: Results) -> dict[str, Any]:
    return mode(results, "continuous")


def least(results: Results) -> dict[str, Any]:
    """The report with the fewest streams."""
    found: dict[str, Any] = continuous(results)["points"][0]
    return found


def memory_a_stream_mb(results: Results) -> float:
    """From the fewest streams to the capacity."""
    points = {point["streams"]: point["server"]["rss_mb"] for point in continuous(results)["points"]}
    few, many = min(points), continuous(results)["capacity"]
    return float((points[many] - points[few]) / max(1, many - few))


def policy(results: Results) -> dict[str, Any]:
    """The default at the cadence that the goals speak of."""
    return next(row for row in results["streaming"]["policies"] if row["policy"] == "every 0.5 s")


def streaming_wer(results: Results) -> str:
    every = results["wer"]["word_error"]["all"]
    ours, hasty, theirs = (every[way]["wer_percent"] for way in ("streaming", "in_haste", "whole_file"))
    return f"{ours:.2f} %, on a busy server {hasty:.2f} %, whole file {theirs:.2f} %"


def against_padding(results: Results, part: str) -> str:
    """`part`: "whole" utterances or "cut" windows."""
    names = {"tail_states_tiny_en": "tiny.en", "tail_states_base": "base"}
    rows = {model: results[name][part][-1] for name, model in names.items()}
    costs = {model: row["cost"]["all"] if part == "whole" else row for model, row in rows.items()}
    return ", ".join(f"{model} {cost['share_of_padded_cost']:.3f}" for model, cost in costs.items())


def files(results: Results) -> str:
    found = results["files"]
    return f"clips {found['ratio_clips']:.1f}x, recordings {found['ratio_long']:.1f}x"


GOALS = (
    Goal(
        "live streams on 2 cores, all speaking without pause",
        ">= 30",
        "`capacity.py`",
        lambda r: f"{continuous(r)['capacity']}",
    ),
    Goal(
        "live streams on 2 cores in conversation (40 % speech)",
        ">= 60",
        "`capacity.py`",
        lambda r: f"{mode(r, 'conversation')['capacity']}",
    ),
    Goal(
        "streams against the best rival, same weights and machine",
        ">= 20x",
        "`peers/`",
        lambda r: f"{r['peers']['ratio_to_best_rival']:g}x",
    ),
    Goal(
        "engine efficiency at capacity",
        ">= 90 %",
        "`capacity.py` over `engine.py`",
        lambda r: f"{100 * continuous(r)['engine_efficiency']:.0f} %",
    ),
    Goal(
        "cost of everything but the model, a live stream",
        "< 0.5 % of a core",
        "`capacity.py`, the event loop",
        lambda r: f"{100 * continuous(r)['core_share_per_stream']:.2f} %",
    ),
    Goal(
        "end of speech to final at half load, p95, beyond the endpoint silence",
        "<= 100 ms",
        "`capacity.py`",
        lambda r: f"{continuous(r)['final_p95_over_endpoint_ms_half_load']:.0f} ms",
    ),
    Goal(
        "partial cadence jitter at 80 % load",
        "<= 20 %",
        "`capacity.py`",
        lambda r: f"{100 * continuous(r)['cadence_jitter_share_80']:.0f} %",
    ),
    Goal(
        "start of speech to first partial, unloaded, p95",
        "<= 400 ms",
        "`capacity.py`, fewest streams",
        lambda r: f"{least(r)['ms']['first_partial']['p95']:.0f} ms",
    ),
    Goal(
        "whole utterances: cost against padding to 30 s",
        "<= 0.333",
        "`tail_states.py`",
        lambda r: against_padding(r, "whole"),
    ),
    Goal(
        "partials of up to 4 s: cost against padding to 30 s",
        "<= 0.125",
        "`tail_states.py`",
        lambda r: against_padding(r, "cut"),
    ),
    Goal("word error of streaming finals", "within 1 point of whole file", "`wer.py`", streaming_wer),
    Goal(
        "unstable partial words, a partial each 0.5 s",
        "<= 10 %",
        "`streaming.py`",
        lambda r: f"{policy(r)['unstable_words_percent']} %",
    ),
    Goal(
        "a word is shown after it was spoken, median, a partial each 0.5 s",
        "<= 1.0 s",
        "`streaming.py`",
        lambda r: f"{policy(r)['shown_after_s']} s",
    ),
    Goal(
        "files: audio seconds a second against the best of faster-whisper batched and whisper-ctranslate2",
        "clips >= 3x, recordings >= 2.2x",
        "`files.py`",
        files,
    ),
    Goal(
        "memory a stream",
        "< 4 MB",
        "`capacity.py`",
        lambda r: f"{memory_a_stream_mb(r):.1f} MB",
    ),
    Goal(
        "start to ready, tiny.en on disk",
        "< 3 s",
        "`capacity.py`",
        lambda r: f"{least(r)['server']['ready_s']:.1f} s",
    ),
    Goal(
        "twice the capacity for 5 minutes: finals lost; the admitted ones' promise",
        "none; kept",
        "`overload.py`",
        lambda r: (
            f"{r['overload']['finals_lost']}; {'; '.join(r['overload']['overload']['broken']) or 'kept'} "
            f"({r['overload']['admitted']} of {r['overload']['asked']} admitted)"
        ),
    ),
    Goal("streams on an H100-class GPU, large-v3-turbo's shape", ">= 400", "`gpu.py`", lambda r: _gpu(r["gpu"])),
)


def _gpu(result: dict[str, Any]) -> str:
    return f"{result['modes']['continuous']['capacity']} on {result['gpu']}"


def read(folder: Path) -> Results:
    return {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}


def reached(goal: Goal, results: Results) -> str:
    try:
        return goal.reached(results)
    except (KeyError, IndexError, TypeError, StopIteration):
        return "not measured"


def goals(results: Results) -> str:
    rows = [(goal.what, goal.goal, f"**{reached(goal, results)}**", goal.how) for goal in GOALS]
    return table([("what", "goal", "reached", "how"), *rows])


def summary(results: Results) -> dict[str, Any]:
    """The few numbers by which one version is compared with another; null where not measured."""
    capacity = results.get("capacity", {})
    found = capacity.get("modes", {}).get("continuous", {})
    names = ["capacity", "engine_efficiency", "core_share_per_stream"]
    names += ["final_p95_over_endpoint_ms_half_load", "cadence_jitter_share_80"]
    return {
        "ratio_to_best_rival": results.get("peers", {}).get("ratio_to_best_rival"),
        **{name: found.get(name) for name in names},
        "capacity_conversation": capacity.get("modes", {}).get("conversation", {}).get("capacity"),
        "machine": capacity.get("machine"),
        "model": capacity.get("model"),
        "date": capacity.get("date"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--results", type=Path, default=Path("bench/results"), help="(default: %(default)s)")
    parser.add_argument("--page", type=Path, help="also put the table between its marks")
    args = parser.parse_args()
    results = read(args.results)
    write_result(args.results / "summary.json", {"benchmark": "summary", **circumstances(), **summary(results)})
    text = goals(results)
    print(text)
    if args.page:
        fill_in(args.page, "bench/summary.py", f"{measured_on(results['capacity'])}.\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
