"""The full-text index of DuckDB over the column `text` of a Parquet file, and pages of 100 rows by it.

Argument: a JSON object with parquet, database, extension, threads, times, queries. Prints the figures as JSON.
"""

import json
import os
import resource
import statistics
import sys
import time

import duckdb

request = json.loads(sys.argv[1])
connection = duckdb.connect(request["database"], config={"threads": request["threads"]})
if request["extension"]:
    connection.execute(f"LOAD '{request['extension']}'")
else:
    connection.execute("INSTALL fts")
    connection.execute("LOAD fts")

started = time.perf_counter()
connection.execute("CREATE TABLE data AS SELECT * FROM read_parquet(?)", [request["parquet"]])
connection.execute("PRAGMA create_fts_index('data', 'id', 'text', stemmer = 'english', stopwords = 'none')")
connection.execute("CHECKPOINT")
seconds = time.perf_counter() - started

PAGE = """
    SELECT *, fts_main_data.match_bm25(id, ?) AS score FROM data WHERE score IS NOT NULL
    ORDER BY score DESC LIMIT 100
"""
COUNT = "SELECT count(*) FROM (SELECT fts_main_data.match_bm25(id, ?) AS score FROM data) WHERE score IS NOT NULL"

queries = []
for query in request["queries"]:
    hits = connection.execute(COUNT, [query]).fetchone()[0]
    times = []
    for _ in range(request["times"]):
        started = time.perf_counter()
        json.dumps(connection.execute(PAGE, [query]).fetchall())
        times.append((time.perf_counter() - started) * 1e3)
    counts = []
    for _ in range(request["times"]):
        started = time.perf_counter()
        connection.execute(COUNT, [query]).fetchone()
        counts.append((time.perf_counter() - started) * 1e3)
    queries.append({"hits": hits, "ms": statistics.median(times), "count_ms": statistics.median(counts)})

figures = {
    "seconds": seconds,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    "index_bytes": os.path.getsize(request["database"]),
    "queries": queries,
}
json.dump(figures, sys.stdout)
