"""Makes tables and times DuckDB on them; the request is JSON in the first argument."""
import json, os, statistics, sys, tempfile, time

request = json.loads(sys.argv[1])


def make_rows(path, rows):
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    rng = np.random.default_rng(7)
    words = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta"])
    text = lambda count: pa.array([" ".join(line) for line in words[rng.integers(0, 7, (rows, count))]])
    table = pa.table({
        "id": pa.array(np.arange(rows)),
        "a": pa.array(rng.integers(0, 1000, rows)),
        "b": pa.array(rng.permutation(rows)),
        "c": pa.array(rng.integers(-2**60, 2**60, rows)),
        "d": pa.array(rng.random(rows)),
        "e": pa.array(rng.normal(size=rows)),
        "s": pa.array(words[rng.integers(0, 7, rows)]),
        "mail": pa.array([f"user-{number:08x}@example.org" for number in rng.permutation(rows)]),
        "t": text(8),
        "u": text(4),
        "truth": pa.array(rng.random(rows) < 0.5),
        "day": pa.array(rng.integers(0, 20000, rows).astype("datetime64[D]")),
    })
    pq.write_table(table, path, row_group_size=100_000, write_page_index=True)


def make_keys(path, rows):
    import numpy as np, pyarrow as pa, pyarrow.parquet as pq
    writer, step = None, 1_000_000
    for start in range(0, rows, step):
        keys = np.arange(start, min(start + step, rows))
        table = pa.table({
            "key": pa.array(keys * 3),
            "value": pa.array(np.sin(keys)),
            "hash": pa.array([f"{key * 2654435761 % 2**64:016x}" for key in keys.tolist()]),
        })
        writer = writer or pq.ParquetWriter(path, table.schema, write_page_index=True)
        writer.write_table(table, row_group_size=100_000)
    writer.close()


def connect(path=":memory:"):
    import duckdb
    connection = duckdb.connect(path)
    connection.execute(f"set threads = {request['threads']}")
    connection.execute("set enable_progress_bar = false")
    return connection


def sql(source, question, columns="*"):
    condition = f"where {question['where']}" if question["where"] else ""
    order = f"order by {question['order']}" if question["order"] else ""
    return f"select {columns} from {source} {condition} {order} limit 100 offset {question['offset']}"


def timed(work, rounds):
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def main():
    if "make" in request:
        {"rows": make_rows, "keys": make_keys}[request["make"]](request["path"], request["rows"])
        return {}
    if "time" in request:
        connection, source, answers = connect(), f"read_parquet('{request['time']}')", []
        connection.execute("set parquet_metadata_cache = true")
        for question in request["questions"]:
            page = lambda: connection.execute(sql(source, question)).fetchall()
            condition = f"where {question['where']}" if question["where"] else ""
            count = lambda: connection.execute(f"select count(*) from {source} {condition}").fetchall()
            # Without an order DuckDB may give any rows: its first ones in file order are asked for, unmeasured.
            ordered = question if question["order"] else {**question, "order": "id"}
            rows = [row[0] for row in connection.execute(sql(source, ordered, "id")).fetchall()]
            answers.append({"page": timed(page, request["rounds"]), "rows": rows,
                            "page_and_count": timed(lambda: (page(), count()), request["rounds"])})
        return answers
    if "look_up" in request:
        connection, times = connect(), []
        connection.execute("set parquet_metadata_cache = true")
        for key in request["keys"]:
            started = time.perf_counter()
            rows = connection.execute(f"select * from read_parquet('{request['look_up']}') where key = {key}").fetchall()
            times.append((time.perf_counter() - started) * 1e3)
            assert len(rows) == 1
        return {"p50": statistics.median(times)}
    return first()


def first():
    """A table with the columns that the reference computes, a full-text index over its texts, and the question."""
    with tempfile.TemporaryDirectory() as folder:
        connection = connect(os.path.join(folder, "index.duckdb"))
        fts = "built"
        try:
            path = os.environ.get("DUCKDB_FTS")
            connection.execute(f"load '{path}'" if path else "load fts")
        except Exception as error:
            fts = "left out: " + str(error).splitlines()[0]
        source = f"read_parquet('{request['first']}')"
        texts = ["s", "mail", "t", "u"]
        lengths = ", ".join(f'len("{name}") as "{name}.length"' for name in texts)
        started = time.perf_counter()
        connection.execute("create sequence serial start 0 minvalue 0")
        connection.execute(f"create table data as select *, {lengths}, nextval('serial') as __hf_index_id from {source}")
        table = time.perf_counter()
        if fts == "built":
            names = ", ".join(f"'{name}'" for name in texts)
            connection.execute(f"pragma create_fts_index('data', '__hf_index_id', {names}, stemmer='none', overwrite=1)")
        index = time.perf_counter()
        connection.execute(sql("data", request["question"])).fetchall()
        query = time.perf_counter()
    milliseconds = lambda begin, end: (end - begin) * 1e3
    return {"fts": fts, "table": milliseconds(started, table), "index": milliseconds(table, index), "query": milliseconds(index, query)}


print(json.dumps(main()))
