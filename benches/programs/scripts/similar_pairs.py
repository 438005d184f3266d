"""All pairs of lines that share most of their words: quadratic."""
import sys

with open(sys.argv[1]) as source:
    lines = [frozenset(line.lower().split()) for line in source]
found = []
for i, a in enumerate(lines):
    for j in range(i + 1, len(lines)):
        b = lines[j]
        shared = len(a & b)
        if shared * 2 > len(a) + len(b) - shared:
            found.append((i, j))
print(len(found))
