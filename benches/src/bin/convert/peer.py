"""A source file as Parquet, as each peer does it out of the box on two threads, snappy as in ours.

Arguments: `datasets`, `duckdb` or `polars`; `csv` or `jsonl`; the source file; an empty folder. Prints a run as JSON. The time
is that of the work, without imports.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

peer, kind, source, folder = sys.argv[1:]
output = Path(folder) / "out"
output.mkdir()
if peer == "datasets":
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HOME"] = folder + "/home"
    import datasets

    datasets.disable_progress_bars()
    builder_name = "csv" if kind == "csv" else "json"
    started = time.perf_counter()
    builder = datasets.load_dataset_builder(builder_name, data_files=source, cache_dir=folder + "/cache")
    builder.download_and_prepare(str(output), file_format="parquet")
elif peer == "duckdb":
    import duckdb

    started = time.perf_counter()
    connection = duckdb.connect(config={"threads": 2})
    read = "read_csv(?, header = true)" if kind == "csv" else "read_json(?, format = 'newline_delimited')"
    connection.execute(f"copy (select * from {read}) to '{output}/0.parquet' (format parquet, compression snappy)", [source])
else:
    os.environ["POLARS_MAX_THREADS"] = "2"
    import polars as pl

    started = time.perf_counter()
    table = pl.scan_csv(source) if kind == "csv" else pl.scan_ndjson(source)
    table.sink_parquet(output / "0.parquet", compression="snappy")
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
import pyarrow.parquet as pq

files = sorted(output.rglob("*.parquet"))
rows = sum(pq.read_metadata(file).num_rows for file in files)
size = sum(file.stat().st_size for file in files)
json.dump({"seconds": seconds, "peak_bytes": peak, "rows": rows, "bytes": size}, sys.stdout)
