"""A table of twelve mixed columns, as a Parquet file in pyarrow's layout and as an Arrow file for our conversion.

Arguments: number of rows, Parquet file, Arrow file.
"""

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

rows, parquet, arrow = int(sys.argv[1]), sys.argv[2], sys.argv[3]
random = np.random.default_rng(7)
words = np.array("alpha beta gamma delta epsilon zeta eta theta iota kappa".split())
cities = np.array([f"city {number:05d}" for number in range(10_000)])
schema = pa.schema(
    {
        "id": pa.int64(),
        "age": pa.int32(),
        "amount": pa.int64(),
        "score": pa.float64(),
        "weight": pa.float32(),
        "flag": pa.bool_(),
        "word": pa.string(),
        "city": pa.string(),
        "mail": pa.string(),
        "text": pa.string(),
        "seen": pa.timestamp("us"),
        "tags": pa.list_(pa.int64()),
    }
)


def batch(first, count):
    score = random.normal(0, 1_000, count)
    score[random.random(count) < 0.02] = np.nan
    lengths = random.integers(0, 6, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    numbers = np.arange(first, first + count)
    text = words[random.integers(0, 10, (count, 12))]
    return pa.record_batch(
        [
            pa.array(numbers),
            pa.array(random.integers(0, 100, count).astype(np.int32), mask=random.random(count) < 0.05),
            pa.array(random.integers(0, 1 << 40, count)),
            pa.array(score),
            pa.array(random.gamma(2, 30, count).astype(np.float32)),
            pa.array(random.random(count) < 0.3),
            pa.array(words[random.integers(0, 10, count)], mask=random.random(count) < 0.01),
            pa.array(cities[random.zipf(1.3, count) % 10_000]),
            pa.array([f"user-{number}@example.org" for number in numbers]),
            pa.array([" ".join(row) for row in text]),
            pa.array(random.integers(1_500_000_000_000_000, 1_700_000_000_000_000, count)).cast(pa.timestamp("us")),
            pa.ListArray.from_arrays(pa.array(offsets), pa.array(random.integers(0, 1_000, int(lengths.sum())))),
        ],
        schema=schema,
    )


with pq.ParquetWriter(parquet, schema, write_page_index=True) as file, pa.ipc.new_file(arrow, schema) as stream:
    for first in range(0, rows, 100_000):
        part = batch(first, min(100_000, rows - first))
        file.write_batch(part, row_group_size=100_000)
        stream.write_batch(part)
