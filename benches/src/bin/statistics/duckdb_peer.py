"""The same figures by exact aggregates of DuckDB: one query for what one pass tells, one for all histograms.

Arguments: Parquet file, number of runs. Prints the milliseconds of each run as a JSON list.
"""

import json
import sys
import time

import duckdb

path, runs = sys.argv[1], int(sys.argv[2])
source = f"read_parquet('{path}')"
measured = {
    "id": "id",
    "age": "age",
    "amount": "amount",
    "score": "case when isnan(score) then null else score end",
    "weight": "weight",
    "city": "length(city)",
    "mail": "length(mail)",
    "text": "length(text)",
    "seen": "epoch_us(seen) // 1000000",
    "tags": "len(tags)",
}
texts = ["word", "city", "mail", "text"]


def figures(connection):
    aggregates = []
    for expression in measured.values():
        functions = ("count", "min", "max", "avg", "median", "stddev_samp")
        aggregates += [f"{function}({expression})" for function in functions]
    aggregates += [f"count(distinct {name})" for name in texts]
    row = connection.execute(f"select count(*), {', '.join(aggregates)} from {source}").fetchone()
    bins = []
    for index, expression in enumerate(measured.values()):
        low, high = row[2 + 6 * index], row[3 + 6 * index]
        step = (high - low) / 10
        bins += [
            f"count(*) filter (({expression}) >= {low + step * bin} and ({expression}) {'<' if bin < 9 else '<='} {low + step * (bin + 1)})"
            for bin in range(10)
        ]
    connection.execute(f"select {', '.join(bins)} from {source}").fetchone()
    for name in ("word", "flag"):
        connection.execute(f"select {name}, count(*) from {source} group by 1").fetchall()


connection = duckdb.connect()
connection.execute("set threads = 2")
connection.execute("set enable_progress_bar = false")
times = []
for _ in range(runs):
    started = time.perf_counter()
    figures(connection)
    times.append((time.perf_counter() - started) * 1e3)
json.dump(times, sys.stdout)
