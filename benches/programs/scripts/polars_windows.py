"""Windows and groups over trips with Polars."""
import sys

import polars as pl

trips = pl.read_csv(sys.argv[1], try_parse_dates=True)
drivers = (
    trips.sort("start")
    .with_columns(pl.col("fare").cum_sum().over("driver").alias("earned"))
    .group_by("driver")
    .agg(pl.col("earned").last(), pl.col("km").median(), pl.col("zone_to").n_unique())
    .sort("earned", descending=True)
)
drivers.write_csv("drivers.csv")
trips.sort(["zone_from", "zone_to", "minutes"]).write_csv("sorted.csv")
