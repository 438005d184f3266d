"""Reads a whole CSV into lists, sorts it by price, writes it out."""
import csv
import sys

with open(sys.argv[1], newline="") as source:
    reader = csv.reader(source)
    header = next(reader)
    rows = [row for row in reader]
rows.sort(key=lambda row: (-float(row[7]), row[2]))
with open(sys.argv[2], "w", newline="") as out:
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(rows)
