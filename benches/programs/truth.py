#!/usr/bin/env python3
"""Measures each whole run by itself, without any part of Foreshadow.

Each run gets a control group of its own (see measure.c), polled every 2 ms;
the polled peak is checked against the largest resident set that the kernel
noted (ru_maxrss). Three repeats; medians and their spread go to truth.json in
the cache directory, and are used again until command, inputs or machine change.

    truth.py [--set evaluation|calibration] [--only NAME]... [--repeats 3] [--again]
"""

import argparse
import json
import statistics
import subprocess
import sys

from common import CACHE, SETS, Others, alone, environment, fresh, machine, measure_binary, programs, warm

MIB = 2**20
FIELDS = ("wall_seconds", "cpu_seconds", "peak_memory_bytes")


def load():
    path = CACHE / "truth.json"
    return json.loads(path.read_text()) if path.exists() else {}


def save(truths):
    part = CACHE / "truth.json.part"
    part.write_text(json.dumps(truths, indent=1))
    part.rename(CACHE / "truth.json")


def measure_once(program):
    scratch = fresh(CACHE / "scratch")
    summary = CACHE / "summary"
    others = Others()
    command = [measure_binary(), "-i", "2000", "-c", scratch, "-1", scratch / ".stdout", "-2", scratch / ".stderr"]
    subprocess.run(
        [*command, "-o", summary, "--", *program.argv()], check=True, timeout=600, env=environment(scratch)
    )
    run = {key: float(value) for key, value in (line.split() for line in summary.read_text().splitlines())}
    if run["exit_code"]:
        message = (scratch / ".stderr").read_text(errors="replace")[-400:]
        sys.exit(f"{program.name} failed with {run['exit_code']:.0f}: {message}")
    fresh(scratch)
    return {
        "wall_seconds": run["wall_seconds"],
        "cpu_seconds": run["cpu_seconds"],
        # Anonymous, shared and kernel memory; v1 counts reclaimable slabs in the last.
        "peak_memory_bytes": run["peak_with_kernel_bytes"],
        "peak_without_kernel_bytes": run["peak_memory_bytes"],
        "largest_process_bytes": run["largest_process_bytes"],
        "rusage_cpu_seconds": run["user_seconds"] + run["system_seconds"],
        "longest_gap_seconds": run["longest_gap_seconds"],
        # The polling itself is among them: a few hundredths.
        "others_cores": others.cores(run["cpu_seconds"]),
    }


def doubts(run):
    """Where the two ways of measuring disagree more than they may."""
    # ru_maxrss counts mapped files too (shared libraries, mapped inputs).
    beyond = run["largest_process_bytes"] - run["peak_memory_bytes"]
    if beyond > max(96 * MIB, 0.1 * run["peak_memory_bytes"]):
        yield f"one process reached {beyond / MIB:.0f} MiB more than the polled peak (a spike missed, or mapped files)"
    if abs(run["cpu_seconds"] - run["rusage_cpu_seconds"]) > 0.05 + 0.03 * run["cpu_seconds"]:
        yield f"cpu {run['cpu_seconds']:.2f} s by the group, {run['rusage_cpu_seconds']:.2f} s by rusage"
    if run["others_cores"] > 0.3:
        yield f"other work kept {run['others_cores']:.1f} cores busy"


def measure(program, repeats):
    warm(program)
    runs = [measure_once(program) for _ in range(repeats)]
    median = {name: statistics.median(run[name] for run in runs) for name in FIELDS}
    spread = {
        name: (max(run[name] for run in runs) - min(run[name] for run in runs)) / median[name] for name in FIELDS
    }
    return {
        "fingerprint": program.fingerprint(),
        "machine": machine(),
        **median,
        "spread": spread,
        "runs": runs,
        "doubts": sorted({doubt for run in runs for doubt in doubts(run)}),
    }


def truth(program, repeats=3, again=False):
    """The measured truth of a program, from the cache where it still holds."""
    known = load().get(program.name)
    if known and known["fingerprint"] == program.fingerprint() and len(known["runs"]) >= repeats and not again:
        return known
    measured = measure(program, repeats)
    truths = load()
    truths[program.name] = measured
    save(truths)
    return measured


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", choices=SETS, default="evaluation")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="measure even what is known")
    options = parser.parse_args()
    lock = alone()  # held until the end
    for program in programs(options.set, options.only):
        t = truth(program, options.repeats, options.again)
        spread = t["spread"]
        print(
            f"{program.name:24} wall {t['wall_seconds']:6.2f} s ±{spread['wall_seconds'] / 2:4.1%}"
            f"  cpu {t['cpu_seconds']:6.2f} s ±{spread['cpu_seconds'] / 2:4.1%}"
            f"  memory {t['peak_memory_bytes'] / MIB:8.1f} MiB ±{spread['peak_memory_bytes'] / 2:4.1%}",
            flush=True,
        )
        for doubt in t["doubts"]:
            print(f"    doubt: {doubt}", flush=True)


if __name__ == "__main__":
    main()
