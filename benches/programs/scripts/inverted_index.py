"""An inverted index of every text below a directory."""
import os
import re
import sys

index = {}
word = re.compile(r"[a-z]+")
for folder, folders, files in os.walk(sys.argv[1]):
    folders.sort()
    for name in sorted(files):
        path = os.path.join(folder, name)
        with open(path) as source:
            for number, line in enumerate(source):
                for w in set(word.findall(line.lower())):
                    index.setdefault(w, []).append((name, number))
print(len(index), max(len(v) for v in index.values()))
