#!/usr/bin/env python3
"""Does a latency-sensitive process notice the shadows that run beside it?

    cargo build --release -p foreshadow && benches/neighbour/run.py [ROUNDS]

A process wakes every 2 ms and works for about 0.3 ms; how late it is done is its latency. Rounds of
1.5 s with `foreshadow predict` running all the time, and without, alternate; printed are the
99th percentiles of both, the median over the rounds, and their ratio. The process is written in C,
since an interpreter's own pauses are larger than what is measured.
"""
import os
import statistics
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
FORESHADOW = os.path.join(TARGET, "release", "foreshadow")

PROCESS = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static long long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
static int cmp(const void *a, const void *b) { long long x = *(long long *)a, y = *(long long *)b; return (x > y) - (x < y); }
int main(int argc, char **argv) {
    int n = atoi(argv[1]); volatile unsigned long work = 0;
    long long *late = calloc(n, sizeof *late), next = now() + 2000000;
    for (int i = 0; i < n; i++, next += 2000000) {
        struct timespec at = { next / 1000000000LL, next % 1000000000LL };
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        for (int k = 0; k < 300000; k++) work += k;
        late[i] = now() - next;
    }
    qsort(late, n, sizeof *late, cmp);
    printf("%lld %lld\n", late[n / 2], late[n * 99 / 100]);
}
"""


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as place:
        source, process = os.path.join(place, "process.c"), os.path.join(place, "process")
        with open(source, "w") as file:
            file.write(PROCESS)
        subprocess.run(["cc", "-O1", "-o", process, source], check=True)
        table = os.path.join(place, "table.csv")
        with open(table, "w") as file:
            file.write("key,value\n")
            for i in range(3_000_000):
                file.write(f"{i * 7919 % 1000003},{i}\n")

        def latency():
            out = subprocess.run([process, "750"], capture_output=True, check=True).stdout.split()
            return int(out[0]) / 1e3, int(out[1]) / 1e3

        def beside():
            stop = threading.Event()

            def shadows():
                env = dict(os.environ, FORESHADOW_STATE_DIR=os.path.join(place, "state"))
                command = [FORESHADOW, "predict", "--no-history", "--json", "--"]
                while not stop.is_set():
                    subprocess.run(
                        [*command, "sort", "-k1,1n", table], env=env, capture_output=True
                    )

            thread = threading.Thread(target=shadows)
            thread.start()
            seen = latency()
            stop.set()
            thread.join()
            return seen

        alone, with_shadows = [], []
        for _ in range(rounds):
            alone.append(latency())
            with_shadows.append(beside())
    for i, name in enumerate(["median", "p99"]):
        a = statistics.median(x[i] for x in alone)
        b = statistics.median(x[i] for x in with_shadows)
        print(f"{name:7} alone {a:8.1f} µs   beside shadows {b:8.1f} µs   {100 * (b / a - 1):+.1f} %")


main()
