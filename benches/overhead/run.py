#!/usr/bin/env python3
"""What `foreshadow run` adds to a command, beside what else gives a command an environment.

    cargo build --release -p foreshadow && benches/overhead/run.py [ROUNDS]

Runs `true` alternately by each method and prints the median and 90th percentile of what each adds
to running it plainly. Methods that are not installed, or that refuse to work here, are said.
`foreshadow run` predicts from history: it has run the command before.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
FORESHADOW = os.path.join(TARGET, "release", "foreshadow")

METHODS = {
    "plain": [],
    "foreshadow run (from history)": [FORESHADOW, "run", "-q", "--"],
    "foreshadow run --no-predict": [FORESHADOW, "run", "-q", "--no-predict", "--"],
    "systemd-run --scope": ["systemd-run", "--scope", "-q", "--"],
    "bwrap (mounts, no limits)": ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--"],
    "unshare (namespaces only)": ["unshare", "-mpf", "--"],
}


def once(prefix, env):
    since = time.perf_counter()
    done = subprocess.run([*prefix, "true"], env=env, capture_output=True)
    return time.perf_counter() - since, done


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as state:
        env = dict(os.environ, FORESHADOW_STATE_DIR=state)
        for _ in range(5):
            subprocess.run([FORESHADOW, "run", "-q", "--", "true"], env=env, check=True)
        times = {}
        for name, prefix in METHODS.items():
            if prefix and not shutil.which(prefix[0]):
                print(f"{name:32} not installed")
                continue
            done = once(prefix, env)[1]
            if done.returncode:
                print(f"{name:32} does not work here: {done.stderr.decode().strip()[:100]}")
                continue
            times[name] = []
        # Alternately, so that what else the machine does hits all of them alike.
        for _ in range(rounds):
            for name in times:
                times[name].append(once(METHODS[name], env)[0])
    plain = statistics.median(times["plain"])
    print(f"{'method':32} {'median':>9} {'adds':>9} {'p90':>9}   ({rounds} rounds)")
    for name, seen in times.items():
        median = statistics.median(seen)
        p90 = sorted(seen)[int(0.9 * len(seen))]
        print(
            f"{name:32} {1e3 * median:6.1f} ms {1e3 * (median - plain):6.1f} ms {1e3 * p90:6.1f} ms"
        )


main()
