"""Pages of 100 rows as the reference reads them: row groups of 1,000 rows, the footer known, whole row groups read.

Arguments: csv; Parquet files to write: in the reference's layout, in larger row groups, with pyarrow's defaults; JSON list of
offsets.
Prints the milliseconds of each page as a JSON list.
"""

import json
import sys
import time

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

csv, peer, foreign, plain, offsets = sys.argv[1:]
table = pa.csv.read_csv(csv)
pq.write_table(table, peer, row_group_size=1_000, write_page_index=True)
pq.write_table(table, foreign, row_group_size=100_000, write_page_index=True)
pq.write_table(table, plain)
del table

file = pq.ParquetFile(peer)
times = []
for offset in json.load(open(offsets)):
    started = time.perf_counter()
    first, last = offset // 1_000, (offset + 99) // 1_000
    page = file.read_row_groups(list(range(first, last + 1))).slice(offset - first * 1_000, 100)
    text = json.dumps(page.to_pylist(), default=str)
    times.append((time.perf_counter() - started) * 1e3)
json.dump(times, sys.stdout)
