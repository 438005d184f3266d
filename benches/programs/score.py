"""Compares predictions with truths: errors, intervals, baselines, targets. No I/O."""

import math
import statistics

MIB = 2**20
FLOOR = 64 * MIB  # peaks below count as this much where memory is recommended
RESOURCES = ("peak_memory_bytes", "cpu_seconds", "wall_seconds")
SHORT = {"peak_memory_bytes": "memory", "cpu_seconds": "cpu", "wall_seconds": "wall"}
RUN_KEYS = {"peak_memory_bytes": "peak_memory_bytes", "cpu_seconds": "cpu_seconds", "wall_seconds": "wall_seconds"}
MOST_MEDIAN_ERROR = {"peak_memory_bytes": 0.06, "cpu_seconds": 0.10, "wall_seconds": 0.12}


def mean(values):
    return sum(values) / len(values)


def by_fraction(runs, key):
    """(fraction, value) of the finished small runs, one point a fraction."""
    points = {}
    for run in runs:
        value, fraction = run.get(key), run.get("fraction")
        if value is not None and fraction and 0 < fraction < 1 and run.get("exit_code") == 0:
            points.setdefault(fraction, []).append(value)
    return sorted((fraction, mean(values)) for fraction, values in points.items())


def least_squares(points):
    """The line's value at the whole, and Pearson's r; None where no line is defined."""
    xs, ys = zip(*points)
    mx, my = mean(xs), mean(ys)
    sxx = sum((x - mx) ** 2 for x in xs)
    syy = sum((y - my) ** 2 for y in ys)
    sxy = sum((x - mx) * (y - my) for x, y in points)
    if sxx == 0:
        return None
    return my + sxy / sxx * (1 - mx), (sxy / math.sqrt(sxx * syy) if syy else 0.0)


def ratio(points):
    """The largest sample, scaled by its share of the input."""
    fraction, value = points[-1]
    return value / fraction


def plain_least_squares(points):
    line = least_squares(points)
    return line[0] if line else ratio(points)


def correlated(points):
    """A line where r ≥ 0.8, else the largest value seen."""
    line = least_squares(points)
    if line and line[1] >= 0.8:
        return line[0]
    return max(value for _, value in points)


BASELINES = {
    "ratio from one sample": ratio,
    "least squares": plain_least_squares,
    "linear if r ≥ 0.8, else largest": correlated,
}


def error(predicted, true):
    return abs(predicted - true) / true


def score(name, growth, truth, answer, seconds, own_cpu):
    """One program: what was said of it and what came true.

    `answer` is the JSON of `predict`, or None where it gave none; `seconds` and
    `own_cpu` are the wall and CPU time of the whole `predict` command as its
    caller saw them.
    """
    row = {
        "name": name,
        "growth": growth,
        "truth": {r: truth[r] for r in RESOURCES},
        "truth_doubts": truth.get("doubts", []),
        "predict_wall_seconds": seconds,
        "predict_cpu_seconds": own_cpu,
        "method": answer["method"] if answer else "failed",
        "abstained": (answer.get("abstained") if answer else "no answer"),
        "resources": {},
    }
    if not answer:
        return row
    runs = answer["shadow"]["runs"]
    reported = answer["shadow"]["cpu_seconds"] or 0.0
    row["shadow_cpu_share"] = max(reported, own_cpu) / truth["cpu_seconds"]
    row["largest_fraction"] = max((run.get("fraction") or 0 for run in runs), default=0)
    row["runs"] = len(runs)
    for resource in RESOURCES:
        true, said = truth[resource], answer["prediction"].get(resource)
        entry = {"baselines": {}}
        points = by_fraction(runs, RUN_KEYS[resource])
        if points:
            for baseline, method in BASELINES.items():
                entry["baselines"][baseline] = error(method(points), true)
        if said and not row["abstained"]:
            low, middle, high = said["p10"], said["p50"], said["p90"]
            entry |= {
                "p10": low,
                "p50": middle,
                "p90": high,
                "p99": said["p99"],
                "error": error(middle, true),
                "signed": middle / true - 1,
                "hit": low <= true <= high,
                "off_by_two": not 0.5 <= middle / true <= 2,
            }
        row["resources"][resource] = entry
    recommended = (answer.get("recommend") or {}).get("memory_bytes")
    if recommended and not row["abstained"]:
        peak = truth["peak_memory_bytes"]
        row["recommended_memory_bytes"] = recommended
        row["recommended_below_peak"] = recommended < peak
        row["recommended_over_peak"] = max(recommended, FLOOR) / max(peak, FLOOR)
    return row


def median(values):
    values = list(values)
    return statistics.median(values) if values else None


def summarise(rows):
    """All programs together, and the targets with pass or fail."""
    summary = {"programs": len(rows), "abstained": [r["name"] for r in rows if r["abstained"]], "errors": {}}
    targets = []

    def target(what, value, passed, limit):
        targets.append({"target": what, "value": value, "limit": limit, "passed": bool(passed)})

    def percent(value):
        return "none" if value is None else f"{value:.1%}"

    hits = []
    for resource in RESOURCES:
        entries = [r["resources"].get(resource, {}) for r in rows]
        said = [e["error"] for e in entries if "error" in e]
        middle = median(said)
        # An abstention counted as an error of 100 %, so that silence can't flatter.
        with_silence = median(said + [1.0] * (len(rows) - len(said)))
        summary["errors"][resource] = {
            "predicted": len(said),
            "median": middle,
            "median_with_abstentions": with_silence,
            "p90": statistics.quantiles(said, n=10)[8] if len(said) > 1 else middle,
            "worst": max(said, default=None),
            # Below the floor a share of the peak says little: a page counts for percents.
            "median_floored": median(
                error(max(e["p50"], FLOOR), max(r["truth"][resource], FLOOR))
                for r, e in zip(rows, entries)
                if "error" in e
            )
            if resource == "peak_memory_bytes"
            else None,
            "median_signed": median(e["signed"] for e in entries if "signed" in e),
            "coverage": mean([e["hit"] for e in entries if "hit" in e]) if said else None,
            "baselines": {
                name: {
                    "predicted": len(found),
                    "median": median(found),
                    "worst": max(found, default=None),
                }
                for name in BASELINES
                for found in [[e["baselines"][name] for e in entries if name in e.get("baselines", {})]]
            },
        }
        hits += [e["hit"] for e in entries if "hit" in e]
        limit = MOST_MEDIAN_ERROR[resource]
        target(
            f"median error of p50, {SHORT[resource]}",
            percent(with_silence),
            with_silence is not None and with_silence <= limit,
            f"≤ {limit:.0%}",
        )
    silent = [
        f"{r['name']} ({SHORT[k]})"
        for r in rows
        for k, e in r["resources"].items()
        if e.get("off_by_two") and not e["hit"]
    ]
    target("off by more than 2× outside its interval", ", ".join(silent) or "none", not silent, "none")
    coverage = mean(hits) if hits else None
    target(
        "truth within p10–p90, all resources",
        percent(coverage),
        coverage is not None and 0.75 <= coverage <= 0.95,
        "75–95 %",
    )
    asked = [r for r in rows if "recommended_memory_bytes" in r]
    below = [r["name"] for r in asked if r["recommended_below_peak"]]
    target(
        "recommended memory below the peak",
        f"{len(below)} of {len(asked)}" + (f" ({', '.join(below)})" if below else ""),
        bool(asked) and len(below) * 20 <= len(asked),
        "≤ 1 of 20",
    )
    over = median(r["recommended_over_peak"] for r in asked)
    target(
        "recommended memory over the peak, median",
        "none" if over is None else f"{over:.2f}×",
        over is not None and over <= 1.3,
        "≤ 1.3×",
    )
    share = median(r["shadow_cpu_share"] for r in rows if "shadow_cpu_share" in r)
    target("CPU of predict over the task's, median", percent(share), share is not None and share <= 0.05, "≤ 5 %")
    slowest = max(rows, key=lambda r: r["predict_wall_seconds"], default=None)
    if slowest:
        seconds = slowest["predict_wall_seconds"]
        target("longest predict", f"{seconds:.1f} s ({slowest['name']})", seconds <= 10, "≤ 10 s")
    summary["coverage"] = coverage
    summary["recommended_over_peak_median"] = over
    summary["shadow_cpu_share_median"] = share
    summary["predict_wall_median"] = median(r["predict_wall_seconds"] for r in rows)
    summary["targets"] = targets
    return summary
