"""Loads trips into an SQLite database in memory and questions it."""
import csv
import sqlite3
import sys

db = sqlite3.connect(":memory:")
with open(sys.argv[1], newline="") as source:
    reader = csv.reader(source)
    columns = next(reader)
    db.execute(f"CREATE TABLE trips ({', '.join(columns)})")
    db.executemany(f"INSERT INTO trips VALUES ({', '.join('?' * len(columns))})", reader)
db.execute("CREATE INDEX by_driver ON trips (driver, start)")
print(db.execute("SELECT driver, count(*), sum(fare) FROM trips GROUP BY driver ORDER BY 3 DESC LIMIT 3").fetchall())
print(db.execute("SELECT zone_from, zone_to, avg(minutes) FROM trips GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 3").fetchall())
