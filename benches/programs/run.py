#!/usr/bin/env python3
"""Predicts every program of a set as if never run before, and judges the predictions.

Each program gets an empty state directory and an empty working directory. The
truth comes from truth.py, which measures what isn't known yet.

    run.py [--set evaluation|calibration] [--binary PATH] [--only NAME]... [--json FILE]
           [--docs FILE] [--budget BUDGET]... [--repeats 3] [--from FILE]

--from takes the answers of an earlier run (its --json) instead of asking again.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time

from common import CACHE, HERE, SETS, Others, alone, environment, fresh, machine, programs, warm
from report import markdown, table
from score import score, summarise
from truth import truth

LONGEST = 120  # seconds that a predict may take before it counts as failed
BUSY = 0.3  # cores of other work that make a result doubtful


def predict(program, binary, budget):
    """The answer of `predict`, its wall and CPU seconds, and what it said on stderr."""
    state, scratch = fresh(CACHE / "state"), fresh(CACHE / "scratch")
    environ = environment(scratch) | {
        "XDG_STATE_HOME": str(state),
        "XDG_CONFIG_HOME": str(state / "config"),
        "NO_COLOR": "1",
    }
    command = [binary, "predict", "--json"]
    for word in budget:
        command += ["--budget", word]
    for name, value in program.vary.items():
        command += ["--vary", f"{name}={value}"]
    command += ["--", *program.argv(vary=False)]
    start = time.monotonic()
    with open(CACHE / "answer", "wb") as out, open(CACHE / "messages", "wb") as messages:
        child = subprocess.Popen(
            command, cwd=scratch, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=messages
        )
        timed_out = False
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() - start > LONGEST and not timed_out:
                timed_out = True
                child.terminate()
            time.sleep(0.002)
    child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    said = (CACHE / "messages").read_text(errors="replace")
    try:
        answer = json.loads((CACHE / "answer").read_text())
    except ValueError:
        answer = None
    left = [entry for entry in scratch.iterdir()]
    if left:
        said += f"\nleft in the working directory: {left}"
    fresh(state), fresh(scratch)
    return answer, seconds, usage.ru_utime + usage.ru_stime, said, child.returncode


def put_between_marks(path, name, text):
    """Puts `text` between the comments that mark the results of one set."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    with open(path) as source:
        before, found, rest = source.read().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        sys.exit(f"{path} has no place for the results: {begin.strip()} ... {end}")
    with open(path, "w") as out:
        out.write(before + begin + "\n" + text + "\n" + end + after)


def default_binary():
    target = os.environ.get("CARGO_TARGET_DIR") or HERE.parent.parent / "target"
    return os.path.join(target, "release", "foreshadow")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--set", choices=SETS, default="evaluation")
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--binary", default=default_binary())
    parser.add_argument("--budget", action="append", default=[], help="passed to predict; may be repeated")
    parser.add_argument("--repeats", type=int, default=3, help="of the truth")
    parser.add_argument("--json", metavar="FILE", default=str(CACHE / "results.json"))
    parser.add_argument("--docs", metavar="FILE", help="rewrites the results in docs/benchmarks.md")
    parser.add_argument("--from", dest="earlier", metavar="FILE", help="score an earlier run's answers again")
    options = parser.parse_args()
    earlier = None
    if options.earlier:
        with open(options.earlier) as source:
            earlier = json.load(source)
        options.set = earlier["set"]
    elif not os.access(options.binary, os.X_OK):
        sys.exit(f"{options.binary} is no program: cargo build --release -p foreshadow, or --binary PATH")
    lock = alone()  # held until the end
    rows, answers = [], {}
    before = {row["name"]: row for row in earlier["programs"]} if earlier else {}
    for program in programs(options.set, options.only):
        if earlier and program.name not in before:
            continue
        true = truth(program, options.repeats)
        if earlier:
            old, answer, said = before[program.name], earlier["answers"][program.name], ""
            seconds, cpu, code = old["predict_wall_seconds"], old["predict_cpu_seconds"], old["exit_code"]
            busy = old.get("others_cores", 0.0)
        else:
            warm(program)
            others = Others()
            answer, seconds, cpu, said, code = predict(program, options.binary, options.budget)
            busy = others.cores(cpu)
        row = score(program.name, program.growth, true, answer, seconds, cpu)
        row["exit_code"] = code
        row["others_cores"] = busy
        rows.append(row)
        answers[program.name] = answer
        print(table([row], header=len(rows) == 1), flush=True)
        if row["others_cores"] > BUSY:
            print(f"    other work kept {row['others_cores']:.1f} cores busy meanwhile: judge with care")
        if row["abstained"]:
            print(f"    {row['abstained']}", *(f"    {line}" for line in said.strip().splitlines()[-3:]), sep="\n")
    result = {
        "set": options.set,
        "date": earlier["date"] if earlier else datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": machine(),
        "summary": summarise(rows),
        "programs": rows,
        "answers": answers,
    }
    with open(options.json, "w") as out:
        json.dump(result, out, indent=1)
    print()
    print(markdown(result, rows_too=False))
    if options.docs:
        put_between_marks(options.docs, options.set, markdown(result))
    print(f"\neverything is in {options.json}")
    return 0 if all(t["passed"] for t in result["summary"]["targets"]) else 1


if __name__ == "__main__":
    sys.exit(main())
