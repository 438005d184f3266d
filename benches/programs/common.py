"""What the parts of the program benchmark share: the list, the places, the commands."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETS = ("calibration", "evaluation")


def cache_directory():
    """FORESHADOW_BENCH_CACHE, or foreshadow-bench below the user's cache directory."""
    if own := os.environ.get("FORESHADOW_BENCH_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "foreshadow-bench"


CACHE = cache_directory()
INPUTS = CACHE / "inputs"


@dataclass
class Program:
    name: str
    set: str
    growth: str
    package: str
    command: list
    inputs: list
    fixed: list = field(default_factory=list)
    vary: dict = field(default_factory=dict)

    def argv(self, vary=True):
        """The command with its places filled in; `vary=False` leaves {n} in it."""
        places = {
            "{in}": str(INPUTS),
            "{py}": str(CACHE / "venv/bin/python"),
            "{scripts}": str(HERE / "scripts"),
        }
        if vary:
            places |= {f"{{{name}}}": str(value) for name, value in self.vary.items()}
        words = []
        for word in self.command:
            for place, value in places.items():
                word = word.replace(place, value)
            words.append(word)
        return words

    def files(self):
        """Every file the command reads as data."""
        for name in self.inputs + self.fixed:
            path = INPUTS / name
            if not path.exists():
                sys.exit(f"{path} is missing: run {HERE}/setup first")
            if path.is_dir():
                yield from (p for p in sorted(path.rglob("*")) if p.is_file())
            else:
                yield path

    def fingerprint(self):
        """Changes whenever a measured truth no longer holds: command, inputs, scripts, machine."""
        digest = hashlib.sha256(json.dumps([self.argv(), machine()]).encode())
        for name in self.inputs + self.fixed:
            stamp = INPUTS / ".stamps" / name
            digest.update(stamp.read_bytes() if stamp.exists() else b"?")
        for word in self.argv():
            if word.startswith(str(HERE)):
                digest.update(Path(word).read_bytes())
        return digest.hexdigest()[:16]


def programs(which, only=()):
    with open(HERE / "programs.toml", "rb") as source:
        known = [Program(**entry) for entry in tomllib.load(source)["program"]]
    names = [p.name for p in known]
    if len(set(names)) != len(names):
        sys.exit("programs.toml names a program twice")
    if unknown := set(only) - set(names):
        sys.exit(f"no program named {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    return [p for p in known if (p.name in only if only else p.set == which)]


def machine():
    """What the figures hold for."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            gib = round(int(line.split()[1]) / 2**20)
    return f"{os.cpu_count()} × {model}, {gib} GiB, Linux {platform.release()}"


def environment(scratch):
    """The same locale and temporary directory for the truth and for the prediction."""
    return os.environ | {"LC_ALL": "C.UTF-8", "TMPDIR": str(scratch)}


def fresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def warm(program):
    """Reads the inputs once, so that no run pays for a cold disk that another doesn't."""
    for path in program.files():
        with open(path, "rb", buffering=0) as source:
            while source.read(1 << 22):
                pass


def measure_binary():
    """The measuring program, built when it is older than its source."""
    source, binary = HERE / "measure.c", CACHE / "measure"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-o", str(binary), str(source)], check=True)
    return binary


class Others:
    """How busy the machine was with anything but the measured work, in cores."""

    def __init__(self):
        self.start, self.busy = time.monotonic(), self.now()

    @staticmethod
    def now():
        fields = [int(f) for f in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle, iowait = fields[3], fields[4]
        return (sum(fields) - idle - iowait) / os.sysconf("SC_CLK_TCK")

    def cores(self, own_cpu_seconds):
        seconds = time.monotonic() - self.start
        return max(0.0, (self.now() - self.busy - own_cpu_seconds) / seconds) if seconds > 0.2 else 0.0


def alone():
    """Keeps the cache directory to this process: two benchmarks at once would spoil each other."""
    CACHE.mkdir(parents=True, exist_ok=True)
    lock = open(CACHE / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"another benchmark is running (it holds {CACHE}/lock)")
    return lock
