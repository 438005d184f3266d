"""A report over a CSV with DuckDB on two threads."""
import sys

import duckdb

connection = duckdb.connect()
connection.execute("SET threads = 2")
connection.execute("CREATE TABLE sales AS SELECT * FROM read_csv_auto(?)", [sys.argv[1]])
for query in (
    "SELECT country, month(sold_at) m, sum(quantity * price) FROM sales GROUP BY ALL ORDER BY 3 DESC",
    "SELECT customer, count(DISTINCT product) n, median(price) FROM sales GROUP BY customer ORDER BY n DESC LIMIT 50",
    "SELECT id, sum(price) OVER (PARTITION BY customer ORDER BY sold_at) s FROM sales ORDER BY s DESC LIMIT 10",
):
    print(len(connection.execute(query).fetchall()))
