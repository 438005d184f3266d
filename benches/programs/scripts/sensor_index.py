"""Readings by sensor, kept in memory, with a summary of each."""
import json
import statistics
import sys

readings = {}
with open(sys.argv[1]) as source:
    for line in source:
        record = json.loads(line)
        if record["status"]["ok"]:
            readings.setdefault(record["sensor"], []).append((record["sequence"], record["temperature"]))
summary = {
    name: {"n": len(values), "median": statistics.median(v for _, v in values), "last": values[-1][0]}
    for name, values in readings.items()
}
with open(sys.argv[2], "w") as out:
    json.dump(summary, out, sort_keys=True)
