"""Tables of the results, for a terminal and for docs/benchmarks.md. No I/O."""

from score import MIB, RESOURCES, SHORT

UNIT = {"peak_memory_bytes": MIB, "cpu_seconds": 1, "wall_seconds": 1}


def number(value):
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def percent(value, signed=False):
    if value is None:
        return "–"
    return f"{value * 100:+.0f}%" if signed else f"{value:.1%}"


def cells(row):
    """true → p50, signed error, hit or miss, for each resource; then what it cost."""
    found = [row["name"], row["growth"], row["method"]]
    for resource in RESOURCES:
        entry, unit = row["resources"].get(resource, {}), UNIT[resource]
        found.append(number(row["truth"][resource] / unit))
        if "p50" in entry:
            found.append(number(entry["p50"] / unit))
            found.append(percent(entry["signed"], signed=True) + ("" if entry["hit"] else " ✗"))
        else:
            found += ["–", "–"]
    found.append(number(row.get("recommended_over_peak")) + ("!" if row.get("recommended_below_peak") else ""))
    found.append(percent(row.get("shadow_cpu_share")))
    found.append(number(row["predict_wall_seconds"]))
    return found


HEADER = ["program", "growth", "method"]
for _resource in RESOURCES:
    _name = SHORT[_resource] + (" MiB" if _resource == "peak_memory_bytes" else " s")
    HEADER += [_name, "p50", "error"]
HEADER += ["memory asked / peak", "CPU of predict", "predict s"]
WIDTHS = [22, 10, 15] + [8, 8, 7] * 3 + [6, 8, 7]
SHORT_HEADER = HEADER[:12] + ["ask/pk", "cpu", "predict"]


def line(columns):
    return " ".join(
        column.ljust(width) if i < 3 else column.rjust(width) for i, (column, width) in enumerate(zip(columns, WIDTHS))
    )


def table(rows, header=True):
    lines = [line(SHORT_HEADER)] if header else []
    return "\n".join(lines + [line(cells(row)) for row in rows])


def markdown_table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def markdown(result, rows_too=True):
    """The targets, the baselines, and, if wanted, every program."""
    summary = result["summary"]
    parts = [
        f"{result['date'][:10]}, {result['machine']}; set `{result['set']}`, {summary['programs']} programs"
        + (f", no answer for {', '.join(summary['abstained'])}" if summary["abstained"] else "")
        + ".",
        markdown_table(
            ["target", "limit", "measured", ""],
            [[t["target"], t["limit"], t["value"], "met" if t["passed"] else "**not met**"] for t in summary["targets"]],
        ),
    ]
    header = ["median error (worst)"] + [SHORT[r] for r in RESOURCES]
    compared = [["foreshadow"]]
    for resource in RESOURCES:
        e = summary["errors"][resource]
        compared[0].append(f"{percent(e['median'])} ({percent(e['worst'])}), n={e['predicted']}")
    for name in summary["errors"][RESOURCES[0]]["baselines"]:
        row = [name]
        for resource in RESOURCES:
            b = summary["errors"][resource]["baselines"][name]
            row.append(f"{percent(b['median'])} ({percent(b['worst'])}), n={b['predicted']}")
        compared.append(row)
    parts.append(markdown_table(header, compared))
    spread = [["truth within p10–p90"], ["median signed error"], ["90th percentile of the error"], ["median error, peaks below 64 MiB as 64"]]
    for resource in RESOURCES:
        e = summary["errors"][resource]
        spread[0].append(percent(e["coverage"]))
        spread[1].append(percent(e["median_signed"], signed=True))
        spread[2].append(percent(e["p90"]))
        spread[3].append(percent(e["median_floored"]))
    parts.append(markdown_table(["foreshadow"] + [SHORT[r] for r in RESOURCES], spread))
    if rows_too:
        parts.append(markdown_table(HEADER, [cells(row) for row in result["programs"]]))
        busy = [row["name"] for row in result["programs"] if row.get("others_cores", 0) > 0.3]
        if busy:
            parts.append(f"Other work kept the machine busy while these were predicted: {', '.join(busy)}.")
        if doubtful := [row["name"] for row in result["programs"] if row.get("truth_doubts")]:
            parts.append(f"The truth itself is less certain (see truth.py) for {', '.join(doubtful)}.")
        parts.append("✗ the truth lay outside p10–p90; ! the recommended memory was below the peak.")
    return "\n\n".join(parts) + "\n"
