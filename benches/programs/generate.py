#!/usr/bin/env python3
"""Generates the benchmark's inputs: deterministic, seeded, of realistic shape.

Keys are skewed (Zipf), text has a vocabulary with a long tail, reads have
errors, images have structure. Each input is written under a temporary name and
renamed when it is whole, so that an interrupted run leaves none half-made.

    generate.py DIRECTORY [NAME...]
"""

import gzip
import os
import shutil
import subprocess
import sys
import wave

import numpy as np

ROWS = 100_000  # rows generated at a time, to bound memory


def zipf(rng, count, distinct, exponent):
    """`count` keys below `distinct`, the k-th with a weight of 1/k^exponent."""
    weights = np.cumsum(1.0 / np.arange(1, distinct + 1) ** exponent)
    ranks = np.searchsorted(weights, rng.random(count) * weights[-1])
    # A fixed shuffle, so that frequent keys aren't the small numbers.
    return (ranks * 2_654_435_761) % 4_294_967_291 % (distinct * 7)


def vocabulary(rng, size):
    onsets = "b c d f g h j k l m n p r s t v w z br ch cl dr fl gr pl sh st th tr".split()
    vowels = "a e i o u ai ea ee io ou".split()
    codas = ["", "", "n", "r", "s", "t", "l", "nd", "st", "ng"]
    words = []
    for length in rng.integers(1, 5, size):
        words.append(
            "".join(
                onsets[rng.integers(len(onsets))]
                + vowels[rng.integers(len(vowels))]
                + codas[rng.integers(len(codas))]
                for _ in range(length)
            )
        )
    return np.array(words, dtype=object)


class Text:
    """Sentences with a long-tailed vocabulary."""

    def __init__(self, rng, size=60_000, exponent=1.05):
        self.rng, self.words = rng, vocabulary(rng, size)
        self.weights = np.cumsum(1.0 / np.arange(1, size + 1) ** exponent)

    def sentences(self, count, shortest, longest):
        lengths = self.rng.integers(shortest, longest, count)
        draws = self.rng.random(int(lengths.sum())) * self.weights[-1]
        words = self.words[np.searchsorted(self.weights, draws)].tolist()
        start, result = 0, []
        for length in lengths.tolist():
            result.append(" ".join(words[start : start + length]))
            start += length
        return result


def dates(rng, count, first="2023-01-01", seconds=60_000_000):
    base = np.datetime64(first, "s")
    return np.datetime_as_string(base + rng.integers(0, seconds, count).astype("m8[s]")).tolist()


def chunks(total):
    for start in range(0, total, ROWS):
        yield start, min(ROWS, total - start)


def sales(path, rows, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng, 8_000)
    countries = "DE FR US GB JP BR IN CN IT ES NL SE PL MX CA AU".split()
    with open(path, "w") as out:
        out.write("id,sold_at,customer,product,category,country,quantity,price,note\n")
        for start, n in chunks(rows):
            columns = zip(
                range(start, start + n),
                dates(rng, n),
                zipf(rng, n, 400_000, 0.8).tolist(),
                zipf(rng, n, 30_000, 1.0).tolist(),
                rng.integers(0, 40, n).tolist(),
                zipf(rng, n, 16, 1.0).tolist(),
                rng.geometric(0.4, n).tolist(),
                np.round(rng.lognormal(3, 1, n), 2).tolist(),
                text.sentences(n, 0, 6),
            )
            out.writelines(
                f"{a},{b},c{c},p{d},cat{e},{countries[f % 16]},{g},{h},{i}\n"
                for a, b, c, d, e, f, g, h, i in columns
            )


def trips(path, rows, seed):
    rng = np.random.default_rng(seed)
    payments = ["card", "cash", "app", "voucher"]
    with open(path, "w") as out:
        out.write("trip,driver,zone_from,zone_to,start,minutes,km,fare,tip,payment\n")
        for start, n in chunks(rows):
            km = rng.gamma(2, 4, n)
            columns = zip(
                (rng.integers(0, 1 << 40, n)).tolist(),
                zipf(rng, n, 60_000, 0.6).tolist(),
                zipf(rng, n, 900, 1.1).tolist(),
                zipf(rng, n, 900, 0.9).tolist(),
                dates(rng, n, "2021-05-01"),
                np.round(km * rng.gamma(4, 0.7, n), 1).tolist(),
                np.round(km, 2).tolist(),
                np.round(3 + km * 1.9, 2).tolist(),
                np.round(np.where(rng.random(n) < 0.4, 0, rng.exponential(2.5, n)), 2).tolist(),
                rng.integers(0, 4, n).tolist(),
            )
            out.writelines(
                f"{a:x},d{b},{c},{d},{e},{f},{g},{h},{i},{payments[j]}\n"
                for a, b, c, d, e, f, g, h, i, j in columns
            )


def drivers(path, rows, seed):
    """The table that `trips` is merged with: one row a driver."""
    rng = np.random.default_rng(seed)
    text = Text(rng, 5_000)
    names = text.sentences(rows, 2, 4)
    with open(path, "w") as out:
        out.write("driver,name,licence,rating\n")
        out.writelines(
            f"d{i},{name},{n},{r}\n"
            for i, name, n, r in zip(
                range(rows),
                names,
                rng.integers(10**7, 10**8, rows).tolist(),
                np.round(rng.normal(4.3, 0.4, rows), 2).tolist(),
            )
        )


def events(path, rows, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng)
    kinds = ["view", "click", "cart", "order", "return"]
    with open(path, "w") as out:
        for start, n in chunks(rows):
            columns = zip(
                dates(rng, n),
                zipf(rng, n, 200_000, 0.9).tolist(),
                zipf(rng, n, 5, 1.2).tolist(),
                text.sentences(n, 2, 12),
                np.round(rng.lognormal(2, 1.2, n), 2).tolist(),
                rng.integers(0, 1 << 31, n).tolist(),
                rng.integers(0, 2, n).tolist(),
            )
            out.writelines(
                f'{{"at":"{a}","user":"u{b}","kind":"{kinds[c % 5]}","title":"{d}",'
                f'"value":{e},"session":"{f:08x}","geo":{{"lat":{f % 180 - 90},"lon":{f % 360 - 180}}},'
                f'"tags":["t{f % 31}","t{f % 17}"],"mobile":{"true" if g else "false"}}}\n'
                for a, b, c, d, e, f, g in columns
            )


def measurements(path, rows, seed):
    """JSON lines of sensors: numbers and nesting rather than text."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as out:
        for start, n in chunks(rows):
            columns = zip(
                range(start, start + n),
                zipf(rng, n, 50_000, 0.5).tolist(),
                np.round(rng.normal(20, 6, n), 3).tolist(),
                np.round(rng.normal(55, 12, n), 2).tolist(),
                rng.integers(0, 4096, n).tolist(),
            )
            out.writelines(
                f'{{"sequence":{a},"sensor":"s-{b}","temperature":{c},"humidity":{d},'
                f'"status":{{"code":{e},"battery":{e % 101},"ok":{"true" if e % 9 else "false"}}}}}\n'
                for a, b, c, d, e in columns
            )


def access_log(path, rows, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng, 3_000)
    agents = [f"Mozilla/5.0 ({t}) Engine/{i}" for i, t in enumerate(text.sentences(40, 3, 7))]
    opener = gzip.open if path.endswith(".gz.part") else open
    with opener(path, "wt", **({"compresslevel": 6} if opener is gzip.open else {})) as out:
        clock = np.datetime64("2024-03-01", "s")
        for start, n in chunks(rows):
            clock_n = clock + np.cumsum(rng.integers(0, 2, n)).astype("m8[s]")
            clock = clock_n[-1]
            page = zipf(rng, n, 40_000, 1.0).tolist()
            columns = zip(
                zipf(rng, n, 300_000, 0.9).tolist(),
                np.datetime_as_string(clock_n).tolist(),
                page,
                rng.choice([200, 200, 200, 200, 304, 302, 404, 500], n).tolist(),
                rng.lognormal(8, 1.5, n).astype(int).tolist(),
                rng.integers(0, 40, n).tolist(),
            )
            out.writelines(
                f"{a >> 16 & 255}.{a >> 8 & 255}.{a & 255}.{a % 251} - - [{b}] "
                f'"GET /shop/{c % 97}/item-{c}.html HTTP/1.1" {d} {e} "{agents[f]}"\n'
                for a, b, c, d, e, f in columns
            )


def system_log(path, rows, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng, 20_000)
    units = [f"{w}d" for w in text.words[:120]]
    forms = text.sentences(400, 4, 11)
    opener = gzip.open if path.endswith(".gz.part") else open
    with opener(path, "wt", **({"compresslevel": 6} if opener is gzip.open else {})) as out:
        for start, n in chunks(rows):
            columns = zip(
                dates(rng, n, "2024-01-01", 9_000_000),
                zipf(rng, n, 120, 1.0).tolist(),
                zipf(rng, n, 400, 1.1).tolist(),
                rng.integers(0, 1 << 24, n).tolist(),
                rng.integers(100, 33_000, n).tolist(),
            )
            out.writelines(
                f"{a} host{e % 23} {units[b % 120]}[{e}]: {forms[c % 400]} id={d:06x} took {d % 5000} ms\n"
                for a, b, c, d, e in columns
            )


def prose(path, megabytes, seed, exponent=1.05, size=60_000):
    rng = np.random.default_rng(seed)
    text = Text(rng, size, exponent)
    written = 0
    with open(path, "w") as out:
        while written < megabytes << 20:
            for sentence in text.sentences(5_000, 5, 25):
                line = sentence.capitalize() + "."
                out.write(line + "\n")
                written += len(line) + 1


def documents(path, files, kilobytes, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng, 120_000, 1.0)
    for number in range(files):
        folder = f"{path}/{number % 40:02}"
        os.makedirs(folder, exist_ok=True)
        target = int(kilobytes * 1024 * rng.lognormal(-0.1, 0.5))
        with open(f"{folder}/document-{number:05}.txt", "w") as out:
            written = 0
            while written < target:
                for sentence in text.sentences(40, 4, 22):
                    out.write(sentence + ".\n")
                    written += len(sentence) + 2


def c_sources(path, files, functions, seed, makefile=False):
    rng = np.random.default_rng(seed)
    words = list(dict.fromkeys(vocabulary(rng, 4_000).tolist()))
    os.makedirs(path)
    for number in range(files):
        count = int(functions * rng.lognormal(0, 0.3)) + 1
        with open(f"{path}/unit_{number:03}.c", "w") as out:
            out.write("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n\n")
            out.write(f"struct record_{number} {{ int id; double weight; char name[32]; }};\n\n")
            for f in range(count):
                w = [words[k] for k in rng.integers(0, len(words), 4)]
                a, b, c = rng.integers(2, 97, 3).tolist()
                out.write(
                    f"/* {' '.join(w)} */\n"
                    f"double {w[0]}_{number}_{f}(const struct record_{number} *r, int n) {{\n"
                    f"    double total = {a}.5;\n"
                    f"    int table_{w[1]}[64] = {{0}};\n"
                    f"    for (int i = 0; i < n; i++) {{\n"
                    f"        switch ((r[i].id * {b}) % 7) {{\n"
                    f"        case 0: total += sqrt(r[i].weight + {c}); break;\n"
                    f"        case 1: total -= r[i].weight / {a}; break;\n"
                    f"        case 2: table_{w[1]}[i & 63] += (int)strlen(r[i].name); break;\n"
                    f"        case 3: for (int j = 0; j < 16; j++) table_{w[1]}[(i ^ j) & 63] ^= j * {c}; break;\n"
                    f"        default: if (total > {b}e6) total = fmod(total, {a});\n"
                    f"        }}\n    }}\n"
                    f"    for (int i = 0; i < 64; i++) total += table_{w[1]}[i];\n"
                    f'    if (total < 0) printf("{w[2]} %f\\n", total);\n'
                    f"    return total;\n}}\n\n"
                )
    if makefile:
        with open(f"{path}/Makefile", "w") as out:
            out.write(
                "OUT ?= out\nOBJECTS := $(patsubst %.c,$(OUT)/%.o,$(wildcard *.c))\n"
                "$(OUT)/all.a: $(OBJECTS)\n\tar rcs $@ $^\n"
                "$(OUT)/%.o: %.c | $(OUT)\n\t$(CC) -O2 -c -o $@ $<\n$(OUT):\n\tmkdir -p $@\n"
            )


def images(path, files, seed, size):
    rng = np.random.default_rng(seed)
    os.makedirs(path)
    for number in range(files):
        w, h = (int(size * rng.uniform(0.8, 1.2)) for _ in range(2))
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        planes = []
        for _ in range(3):
            a, b, c = rng.uniform(0.002, 0.05, 3)
            planes.append(np.sin(x * a) + np.cos(y * b) + np.sin((x + y) * c))
        pixels = np.stack(planes, -1) * 40 + 128 + rng.normal(0, 6, (h, w, 3))
        with open(f"{path}/picture-{number:03}.ppm", "wb") as out:
            out.write(b"P6\n%d %d\n255\n" % (w, h))
            out.write(pixels.clip(0, 255).astype(np.uint8).tobytes())


def genome_sequence(rng, length):
    """Bases with repeats, as genomes have them."""
    bases = rng.choice(np.frombuffer(b"ACGT", np.uint8), length, p=[0.3, 0.2, 0.2, 0.3])
    for _ in range(length // 20_000):
        size = int(rng.integers(300, 6_000))
        a, b = rng.integers(0, length - size, 2)
        bases[b : b + size] = bases[a : a + size]
    return bases


def genome(path, length, seed, contigs=24):
    bases = genome_sequence(np.random.default_rng(seed), length)
    with open(path, "wb") as out:
        for i, part in enumerate(np.array_split(bases, contigs)):
            out.write(b">contig%d length=%d\n" % (i, len(part)))
            whole = len(part) // 70 * 70
            lines = np.full((whole // 70, 71), 10, np.uint8)
            lines[:, :70] = part[:whole].reshape(-1, 70)
            out.write(lines.tobytes())
            out.write(part[whole:].tobytes() + b"\n")


def reads(path, count, seed, genome_length, genome_seed, length=150, fasta=False):
    bases = genome_sequence(np.random.default_rng(genome_seed), genome_length)
    rng = np.random.default_rng(seed)
    complement = np.zeros(256, np.uint8)
    complement[list(b"ACGT")] = list(b"TGCA")
    opener = gzip.open if path.endswith(".gz.part") else open
    with opener(path, "wb", **({"compresslevel": 4} if opener is gzip.open else {})) as out:
        for start, n in chunks(count):
            places = rng.integers(0, genome_length - length, n)
            block = bases[places[:, None] + np.arange(length)]
            back = rng.random(n) < 0.5
            block[back] = complement[block[back][:, ::-1]]
            errors = rng.random(block.shape) < 0.01
            block[errors] = rng.choice(np.frombuffer(b"ACGT", np.uint8), int(errors.sum()))
            quality = (70 - (rng.exponential(3, block.shape)).astype(np.uint8)).clip(35, 70)
            quality[errors] = 40
            text = block.tobytes()
            marks = quality.astype(np.uint8).tobytes()
            if fasta:
                out.write(b"".join(b">r%d\n%s\n" % (start + i, text[i * length : (i + 1) * length]) for i in range(n)))
            else:
                out.write(
                    b"".join(
                        b"@r%d run/%d\n%s\n+\n%s\n"
                        % (start + i, i % 8, text[i * length : (i + 1) * length], marks[i * length : (i + 1) * length])
                        for i in range(n)
                    )
                )


def features(path, rows, columns, classes, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 1.4, (classes, columns))
    with open(path, "w") as out:
        out.write(",".join(f"f{i}" for i in range(columns)) + ",label\n")
        for start in range(0, rows, 20_000):
            n = min(20_000, rows - start)
            label = rng.integers(0, classes, n)
            values = centres[label] + rng.normal(0, 1, (n, columns))
            values[:, 1::3] = np.abs(values[:, 1::3]) ** 1.5
            np.savetxt(out, np.column_stack([values, label]), fmt=["%.4f"] * columns + ["%d"], delimiter=",")


def array(path, shape, seed, low_rank=0):
    rng = np.random.default_rng(seed)
    if low_rank:
        data = rng.normal(size=(shape[0], low_rank)) @ rng.normal(size=(low_rank, shape[1]))
        data += rng.normal(0, 0.1, shape)
    else:
        data = rng.lognormal(0, 2, shape)
    with open(path, "wb") as out:
        np.save(out, data)


def sorted_pairs(path, rows, seed, share):
    """Keys in byte order, of which two files of the same `share` have many in common."""
    rng = np.random.default_rng(seed)
    with open(path, "w") as out:
        for start, n in chunks(rows):
            keep = rng.random(n) < share
            value = rng.integers(0, 1 << 40, n)
            out.writelines(f"k{start + i:010},{v:x},{v % 1009}\n" for i, v in enumerate(value.tolist()) if keep[i])


def revisions(path, rows, seed, revision):
    """Two revisions of one text: blocks edited, dropped and added in the second."""
    rng = np.random.default_rng(seed)
    text = Text(rng)
    edits = np.random.default_rng(seed + 1)
    with open(path, "w") as out:
        for start, n in chunks(rows):
            lines = text.sentences(n, 3, 14)
            chance = edits.random(n)
            for line, c in zip(lines, chance.tolist()):
                if revision and c < 0.01:
                    continue
                if revision and c < 0.03:
                    line = line[::-1]
                out.write(line + "\n")
                if revision and c > 0.99:
                    out.write("added: " + line + "\n")


def edges(path, count, nodes, seed):
    rng = np.random.default_rng(seed)
    with open(path, "w") as out:
        for start, n in chunks(count):
            a, b = zipf(rng, n, nodes, 0.7), zipf(rng, n, nodes, 0.4)
            out.writelines(f"{x} {y}\n" for x, y in zip(a.tolist(), b.tolist()))


def points(path, count, seed):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 50, (30, 3))
    p = centres[rng.integers(0, 30, count)] + rng.normal(0, 4, (count, 3))
    np.savetxt(path, p, fmt="%.5f")


def intervals(path, rows, seed, mean, ordered):
    rng = np.random.default_rng(seed)
    with open(path, "w") as out:
        sizes = rng.exponential(mean, rows).astype(int) + 1
        starts = rng.integers(0, 60_000_000, rows)
        contig = rng.integers(1, 9, rows)
        if ordered:
            order = np.lexsort((starts, contig))
            starts, contig = starts[order], contig[order]
        out.writelines(
            f"chr{c}\t{s}\t{s + z}\tfeature{i}\t{z % 1000}\t{'+' if z & 1 else '-'}\n"
            for i, (c, s, z) in enumerate(zip(contig.tolist(), starts.tolist(), sizes.tolist()))
        )


def sound(path, seconds, seed):
    rng = np.random.default_rng(seed)
    with open(path, "wb") as raw, wave.open(raw, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44_100)
        for start in range(seconds):
            t = np.arange(44_100) / 44_100 + start
            left = np.sin(t * 2 * np.pi * (220 + start % 40 * 11)) * 9_000
            right = np.sin(t * 2 * np.pi * (330 + start % 17 * 7)) * 7_000
            both = np.stack([left, right], -1) + rng.normal(0, 600, (44_100, 2))
            out.writeframes(both.astype("<i2").tobytes())


def catalogue(path, records, seed):
    rng = np.random.default_rng(seed)
    text = Text(rng, 20_000)
    with open(path, "w") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<catalogue>\n')
        for start, n in chunks(records):
            shop = zipf(rng, n, 3_000, 0.9).tolist()
            for i, (title, body, s, p) in enumerate(
                zip(text.sentences(n, 2, 6), text.sentences(n, 5, 20), shop, rng.integers(1, 50_000, n).tolist())
            ):
                out.write(
                    f'<item id="{start + i}" shop="{s}"><title>{title}</title>'
                    f"<price>{p / 100}</price><text>{body}</text></item>\n"
                )
        out.write("</catalogue>\n")


def bwa_index(path, length, seed):
    os.makedirs(path)
    genome(f"{path}/genome.fa", length, seed)
    subprocess.run(["bwa", "index", f"{path}/genome.fa"], check=True, stderr=subprocess.DEVNULL)


# name: (function, arguments). Two sets with no file and no seed in common.
INPUTS = {
    # calibration
    "sales.csv": (sales, dict(rows=5_000_000, seed=101)),
    "sales-small.csv": (sales, dict(rows=1_700_000, seed=102)),
    "values.npy": (array, dict(shape=(36_000_000,), seed=103)),
    "features.csv": (features, dict(rows=100_000, columns=30, classes=6, seed=104)),
    "novel.txt": (prose, dict(megabytes=200, seed=105)),
    "chronicle.txt": (prose, dict(megabytes=14, seed=106)),
    "events.jsonl": (events, dict(rows=260_000, seed=107)),
    "clicks.jsonl": (events, dict(rows=1_900_000, seed=108)),
    "documents": (documents, dict(files=1_500, kilobytes=90, seed=109)),
    "access.log.gz": (access_log, dict(rows=4_000_000, seed=110)),
    "keys-a.csv": (sorted_pairs, dict(rows=26_000_000, seed=111, share=0.7)),
    "keys-b.csv": (sorted_pairs, dict(rows=26_000_000, seed=112, share=0.6)),
    "sources": (c_sources, dict(files=36, functions=40, seed=113, makefile=True)),
    "reference.fa": (genome, dict(length=12_000_000, seed=114)),
    "reads.fq": (reads, dict(count=300_000, seed=115, genome_length=12_000_000, genome_seed=114)),
    "chromosomes.fa": (genome, dict(length=30_000_000, seed=116)),
    "titles.txt": (revisions, dict(rows=5_600, seed=117, revision=0)),
    "pictures": (images, dict(files=60, seed=118, size=1_400)),
    "genes.bed": (intervals, dict(rows=700_000, seed=119, mean=3_000, ordered=True)),
    "peaks.bed": (intervals, dict(rows=2_000_000, seed=120, mean=400, ordered=False)),
    "stock.xml": (catalogue, dict(records=400_000, seed=121)),
    # evaluation
    "trips.csv": (trips, dict(rows=5_000_000, seed=201)),
    "trips-small.csv": (trips, dict(rows=2_200_000, seed=202)),
    "rides.csv": (trips, dict(rows=800_000, seed=224)),
    "drivers.csv": (drivers, dict(rows=420_000, seed=203)),
    "matrix.npy": (array, dict(shape=(260_000, 240), seed=204, low_rank=20)),
    "samples.csv": (features, dict(rows=260_000, columns=20, classes=12, seed=205)),
    "web.log": (access_log, dict(rows=3_500_000, seed=206)),
    "system.log": (system_log, dict(rows=1_200_000, seed=207)),
    "journal.log.gz": (system_log, dict(rows=4_500_000, seed=208)),
    "sensors.jsonl": (measurements, dict(rows=1_500_000, seed=209)),
    "papers": (documents, dict(files=1_600, kilobytes=60, seed=210)),
    "before.txt": (revisions, dict(rows=6_500_000, seed=211, revision=0)),
    "after.txt": (revisions, dict(rows=6_500_000, seed=211, revision=1)),
    "project": (c_sources, dict(files=200, functions=25, seed=212)),
    "index": (bwa_index, dict(length=16_000_000, seed=213)),
    "sequences.fq": (reads, dict(count=300_000, seed=214, genome_length=16_000_000, genome_seed=213)),
    "lane.fq.gz": (reads, dict(count=1_000_000, seed=215, genome_length=5_000_000, genome_seed=216)),
    "links.txt": (edges, dict(count=900_000, nodes=120_000, seed=217)),
    "points.txt": (points, dict(count=6_000, seed=218)),
    "concert.wav": (sound, dict(seconds=900, seed=219)),
    "catalogue.xml": (catalogue, dict(records=1_400_000, seed=220)),
    "amplicons.fa": (reads, dict(count=80_000, seed=221, genome_length=400_000, genome_seed=222, fasta=True)),
    "letters.txt": (prose, dict(megabytes=100, seed=223, exponent=0.95, size=150_000)),
}


def stamp(name):
    """What an input was made from: a change of its arguments makes it anew."""
    function, arguments = INPUTS[name]
    return f"{function.__name__} {sorted(arguments.items())}"


def main():
    directory, names = sys.argv[1], sys.argv[2:] or list(INPUTS)
    os.makedirs(f"{directory}/.stamps", exist_ok=True)
    for name in names:
        function, arguments = INPUTS[name]
        path, mark = f"{directory}/{name}", f"{directory}/.stamps/{name}"
        if os.path.exists(mark) and open(mark).read() == stamp(name) and os.path.exists(path):
            continue
        print(f"generating {name}", flush=True)
        part = f"{path}.part"
        for old in (part, path):
            shutil.rmtree(old) if os.path.isdir(old) else os.path.exists(old) and os.remove(old)
        function(part, **arguments)
        os.rename(part, path)
        with open(mark, "w") as out:
            out.write(stamp(name))


if __name__ == "__main__":
    main()
