"""Sales by customer and by country and month."""
import sys

import pandas as pd

frame = pd.read_csv(sys.argv[1], parse_dates=["sold_at"])
frame["total"] = frame["quantity"] * frame["price"]
customers = frame.groupby("customer")["total"].agg(["sum", "mean", "count"]).sort_values("sum", ascending=False)
months = frame.groupby([frame["country"], frame["sold_at"].dt.to_period("M")])["total"].sum()
customers.to_csv("customers.csv")
months.to_csv("months.csv")
