"""The first 100 rows of a Parquet file of one row group as pyarrow reads rows: whole row groups of it.

Argument: the file. Prints a sentence. Refused beyond 300 MB before compression, as the reference does.
"""

import sys

import pyarrow.parquet as pq

group = pq.read_metadata(sys.argv[1]).row_group(0)
if group.total_byte_size > 300_000_000:
    print(f"the row group has {group.total_byte_size / 1e6:,.0f} MB, more than the 300 MB that the reference reads for a page: refused")
else:
    rows = pq.ParquetFile(sys.argv[1]).read_row_group(0).slice(0, 100).to_pylist()
    print(f"{len(rows)} rows")
