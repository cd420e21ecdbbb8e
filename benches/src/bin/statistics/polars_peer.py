"""The figures of every column as the reference computes them with polars: each column read, then described.

Arguments: Parquet file, number of runs. Prints the milliseconds of each run as a JSON list.
"""

import json
import sys
import time

import numpy as np
import polars as pl


def numbers(data, name, whole):
    values = data.select(pl.col(name).fill_nan(None)) if data[name].dtype.is_float() else data
    nulls = values[name].null_count()
    low, high, mean, median, std = values.select(
        low=pl.col(name).min(),
        high=pl.col(name).max(),
        mean=pl.col(name).mean(),
        median=pl.col(name).median(),
        std=pl.col(name).std(),
    ).row(0)
    low, high, mean, median, std = (round(value, 5) for value in (low, high, mean, median, std))
    if whole:
        step = -(-(high - low + 1) // 10)
        edges = [*range(int(low), int(high), int(step)), int(high)]
    else:
        edges = [*np.arange(low, high, (high - low) / 10).astype(float), high]
    # As in the reference: bins closed on the left, by way of the negated column.
    reverse = values.with_columns(pl.col(name).mul(-1).alias("reverse"))["reverse"]
    hist = reverse.hist(bins=[-edge for edge in edges[::-1]])["count"].to_list()[::-1]
    return nulls, low, high, mean, median, std, hist, edges


def column(path, name, dtype):
    data = pl.read_parquet(path, columns=[name])
    if dtype == pl.String:
        distinct = data[name].n_unique()
        if (distinct / len(data) <= 0.2 and distinct <= 1_000) or distinct <= 10:
            return data[name].null_count(), dict(data[name].drop_nulls().value_counts().rows())
        return numbers(data.select(pl.col(name).str.len_chars()), name, True)
    if dtype == pl.Boolean:
        return data[name].null_count(), dict(data[name].value_counts().rows())
    if dtype == pl.List:
        return numbers(data.select(pl.col(name).list.len().cast(pl.Int64)), name, True)
    if dtype == pl.Datetime:
        seconds = (pl.col(name) - data[name].min()).dt.total_seconds()
        return data[name].min(), numbers(data.select(seconds), name, True)
    return numbers(data, name, dtype.is_integer())


path, runs = sys.argv[1], int(sys.argv[2])
schema = pl.read_parquet_schema(path)
times = []
for _ in range(runs):
    started = time.perf_counter()
    figures = [column(path, name, dtype) for name, dtype in schema.items()]
    times.append((time.perf_counter() - started) * 1e3)
json.dump(times, sys.stdout)
