#!/usr/bin/env python3
"""Makes the recorded answers that tests/query.rs compares with: conditions and orders, and the rows that DuckDB finds.

    generate.py                      writes table.parquet and corpus.json beside this file
    generate.py --live N [--seed S]  N generated queries into a temporary file, and the test on them

Needs duckdb and pyarrow. The recorded files were made with DuckDB 1.5.5 and pyarrow 23.
"""
import argparse, datetime, decimal, json, math, os, pathlib, random, subprocess, sys, tempfile

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
ROWS = 1500
WORDS = ["alpha", "beta", "Gamma", "delta", "naïve", "été", "straße", "東京", "Привет", "it's", "100%", "a_b", "a*b", "x;y",
         "--", "", "Zeta", "omega 12", "foo bar", "line\nbreak"]


def table():
    rng = random.Random(7)
    maybe = lambda value, share=0.1: None if rng.random() < share else value
    day = datetime.date(2020, 1, 1)
    moment = datetime.datetime(2020, 1, 1)
    floats = [0.0, -0.0, 1.5, -2.25, 0.1, 1e300, math.inf, -math.inf, math.nan]
    columns = {
        "id": (pa.int64(), [i for i in range(ROWS)]),
        "i": (pa.int32(), [maybe(rng.randint(-20, 20)) for _ in range(ROWS)]),
        "j": (pa.int64(), [maybe(rng.choice([0, 1, -5, 2**53 + 1, -2**63, 2**63 - 1, rng.randint(-100, 100)])) for _ in range(ROWS)]),
        "small": (pa.int8(), [maybe(rng.randint(-128, 127)) for _ in range(ROWS)]),
        "u": (pa.uint64(), [maybe(rng.choice([0, 7, 2**64 - 1, rng.randint(0, 50)])) for _ in range(ROWS)]),
        "d": (pa.float64(), [maybe(rng.choice(floats + [rng.uniform(-10, 10)] * 9)) for _ in range(ROWS)]),
        "f": (pa.float32(), [maybe(rng.choice(floats[:5] + [math.nan, rng.uniform(-5, 5), rng.uniform(-5, 5)])) for _ in range(ROWS)]),
        "dec": (pa.decimal128(12, 3), [maybe(decimal.Decimal(rng.randint(-5000, 5000)) / 1000) for _ in range(ROWS)]),
        "s": (pa.string(), [maybe(rng.choice(WORDS)) for _ in range(ROWS)]),
        "t": (pa.string(), [maybe(f"{rng.choice(WORDS)} {rng.randint(0, 99)}") for _ in range(ROWS)]),
        "num": (pa.string(), [str(rng.randint(0, 30)) for _ in range(ROWS)]),
        "b": (pa.bool_(), [maybe(rng.random() < 0.5) for _ in range(ROWS)]),
        "day": (pa.date32(), [maybe(day + datetime.timedelta(days=rng.randint(-800, 800))) for _ in range(ROWS)]),
        "ts": (pa.timestamp("us"), [maybe(moment + datetime.timedelta(seconds=rng.randint(-10**8, 10**8), microseconds=rng.choice([0, 0, 123456]))) for _ in range(ROWS)]),
        "tz": (pa.timestamp("ms", "UTC"), [maybe(moment + datetime.timedelta(hours=rng.randint(-9999, 9999))) for _ in range(ROWS)]),
        "time": (pa.time64("us"), [maybe(datetime.time(rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59))) for _ in range(ROWS)]),
        "l": (pa.list_(pa.int64()), [maybe([maybe(rng.randint(0, 9)) for _ in range(rng.randint(0, 4))]) for _ in range(ROWS)]),
        "ls": (pa.list_(pa.string()), [maybe([rng.choice(WORDS[:6]) for _ in range(rng.randint(0, 3))]) for _ in range(ROWS)]),
        "st": (pa.struct([("x", pa.int64()), ("y", pa.string())]),
               [maybe({"x": maybe(rng.randint(0, 9)), "y": maybe(rng.choice(WORDS[:8]))}) for _ in range(ROWS)]),
        "name with \"quote\"": (pa.int64(), [rng.randint(0, 3) for _ in range(ROWS)]),
    }
    schema = pa.schema([(name, kind) for name, (kind, _) in columns.items()])
    return pa.table([pa.array(values, kind) for kind, values in columns.values()], schema=schema)


FIXED = r'''
"i" = 3
"i"=-3
i > 5
I >= 5 and J < 0
"i" <> 4
"i" != 4
"i" == 4
"i" in (1, 2, 3)
"i" not in (1, 2, 3)
"i" in (1, null)
"i" not in (1, null)
"i" in (1, 2.0, '3')
"i" between -3 and 3
"i" not between -3 and 3
not "i" = 3
not ("i" = 3 or "i" is null)
"i" is null
"i" is not null
"i" isnull
"i" notnull
"i" is distinct from 3
"i" is not distinct from null
"i" = null
"i" = "small"
"i" < "d"
"i" = 1.5
"i" > 1.5
"i" <= -1.5
"i" = '3'
"i" > '3'
"i" = ' 3 '
"i" = '2.5'
"i" = 3e0
"i" + 1 = 4
"i" * 2 = 4
"i" - 1 < "small"
"i" / 2 = 1.5
"i" // 2 = 1
"i" % 3 = 1
"i" % 3 = -1
- "i" = 3
-"i" > 2
"i" ^ 2 = 9
abs("i") = 3
"i"::double = 3.0
"i"::varchar = '3'
"i"::text like '1%'
"i" || 'x' = '3x'
"j" = 9007199254740993
"j" = 9007199254740993.0
"j" > 9223372036854775806
"j" < -9223372036854775807
"j" = 9223372036854775808
"j" > 1e18
"u" > 18446744073709551614
"u" = -1
"u" = "i"
"small" > 100 or "small" < -100
"d" > 1
"d" >= 1e300
"d" = 0
"d" < 0
"d" = 'nan'
"d" > 1e308
"d" = 'inf'
"d" = 'nan'::double
isnan("d")
isinf("d")
isfinite("d") and "d" > 5
"d" is not null and not isnan("d")
"d" = 0.1
"d" <> "d"
"d" between -2.25 and 1.5
"d" in (0.1, 1.5)
"d" not in (0.1, 1.5)
round("d", 1) = 0.1
floor("d") = -3
ceil("d") = 2
sqrt(abs("i")) = 2
"f" = 0.1
"f" = 0.1e0
"f" > 1.5
"f" = 'nan'
"f" = "d"
"f" >= "i"
"dec" = 1.5
"dec" > 4.99
"dec" > 4.9995
"dec" < '1.25'
"dec" + 1 = 2.5
"dec" * 2 > 9.5
"dec" = "i"
"dec" > "d"
"dec" % 1 = 0
"s" = 'alpha'
"s" = 'it''s'
"s" = 'x;y'
"s" = '--'
"s" = ''
"s" <> ''
"s" < 'b'
"s" >= 'delta'
"s" > 'naïve'
"s" in ('alpha', '東京', 'nope')
"s" not in ('alpha', '東京')
"s" like 'a%'
"s" like '%a'
"s" like '%et%'
"s" like 'a_b'
"s" like '_eta'
"s" like '100\%' escape '\'
"s" like 'a$_b' escape '$'
"s" not like '%a%'
"s" ilike 'GAMMA'
"s" ilike '%ÉT%'
"s" not ilike '%a%'
"s" like 'line_break'
"s" glob 'a*'
"s" glob '[A-Z]*'
"s" glob '[!a-z]*'
"s" glob '?eta'
"s" glob 'a\*b'
"s" similar to '(alpha|beta)'
"s" similar to '.*a'
"s" not similar to '.*a'
"s" ~ '[a-z]+'
"s" ~ '.'
"s" !~ '[a-z]+'
regexp_matches("s", 'et')
regexp_matches("s", 'ET', 'i')
regexp_matches("s", '^\w+$')
regexp_matches("s", '\d')
regexp_full_match("s", '\w+')
regexp_extract("t", '[0-9]+') = '12'
regexp_extract("t", '([a-z]+) ([0-9]+)', 2) = '12'
regexp_replace("s", 'a', 'X') = 'Xlpha'
regexp_replace("s", 'a', 'X', 'g') = 'XlphX'
length("s") = 5
"s".length() = 5
"s".length() > 5 and "s".length() < 9
strlen("s") = 6
lower("s") = 'gamma'
"s".upper() = 'ALPHA'
upper("s") = 'ÉTÉ'
substr("s", 1, 2) = 'al'
substr("s", 2) = 'eta'
substr("s", -2) = 'ta'
substr("s", 0, 2) = 'a'
"s".substring(2, 2) = 'et'
"s"[1] = 'a'
"s"[-1] = 'a'
left("s", 2) = 'de'
right("s", 2) = 'ta'
left("s", -3) = 'al'
trim("t", '0123456789 ') = 'beta'
ltrim("s", 'al') = 'pha'
rtrim("s", 'a') = 'bet'
replace("s", 'a', '') = 'lph'
reverse("s") = 'ateb'
repeat("s", 2) = 'betabeta'
split_part("t", ' ', 1) = 'beta'
split_part("t", ' ', -1) = '7'
split_part("t", ' ', 9) = ''
strip_accents("s") = 'ete'
strpos("s", 'et') = 2
instr("s", 'zzz') = 0
position('a' in "s") = 1
contains("s", 'et')
starts_with("s", 'al')
"s".starts_with('al')
ends_with("s", 'ta')
prefix("s", 'G')
suffix("s", 'a')
"s" ^@ 'al'
ascii("s") = 97
unicode("s") = 26481
concat("s", '-', "i") = 'alpha-3'
"s" || "num" = 'alpha3'
coalesce("s", 'none') = 'none'
ifnull("i", 0) = 0
nullif("i", 3) is null
greatest("i", 3) = 3
least("i", "small") = "small"
"num" = 5
"num" <> 5
"num" in (5, 6)
"num"::int > 25
cast("num" as bigint) % 7 = 0
try_cast("t" as int) is null
"b"
not "b"
"b" = true
"b" = false
"b" is true
"b" is not true
"b" is false
"b" is unknown
"b" = 'true'
"b" = 1
"b" > 0
"b"::int = 1
"i" and "b"
"day" = '2020-01-31'
"day" > '2021-06-01'
"day" < date '2019-01-01'
"day" between '2020-01-01' and '2020-02-01'
"day" >= '2021-1-1'
"day" = '2020/01/31'
"day" > '2021-06-01 12:00:00'
"day" = "ts"
"day" < "ts"
"day" < "tz"
"day" + 1 = '2020-02-01'
"day" - date '2020-01-01' = 30
year("day") = 2020
"day".year() = 2020 and "day".month() = 2
month("ts") = 12
day("ts") = 31
dayofweek("day") = 0
isodow("day") = 7
week("day") = 53
quarter("day") = 3
dayofyear("day") = 60
hour("ts") = 5
minute("ts") < 3
second("ts") = 30
epoch("ts") < 1500000000
epoch_ms("ts") > 1600000000000
date_part('year', "ts") = 2021
date_trunc('month', "ts") = '2020-05-01'
date_trunc('week', "day") = '2019-12-30'
date_diff('day', "day", date '2020-01-01') = 10
date_diff('month', "day", "ts") = 1
"ts" > '2021-01-01'
"ts" >= '2020-06-01 12:30:00' and "ts" < '2020-07-01'
"ts" < timestamp '2018-01-01 00:00:00'
"ts"::date = '2020-02-02'
"ts"::date > '2021-02-02'
"tz" > '2020-02-02'
"tz" > '2020-02-02 10:00:00+02:00'
"tz" = "ts"
"tz" < "ts"
"time" > '12:00:00'
"time" <= '00:30'
hour("time") = 5
"l"[1] = 3
"l"[-1] = 3
"l"[2] is null
len("l") = 2
length("l") > 3
list_contains("l", 3)
"l".list_contains(3) = true
list_contains("l", '3')
list_position("l", 3) = 2
list_has_any("l", [1, 2])
list_has_all("l", [1, 2])
list_max("l") = 9
list_min("l") = 0
list_sum("l") > 20
list_avg("l") > 6
3 in "l"
list_contains("ls", 'alpha')
list_contains("ls", "s")
"ls"[1] = 'beta'
array_to_string("ls", ',') = 'alpha,beta'
len("ls") = 0
"l" is null
"st"."x" = 3
"st"."y" = 'alpha'
"st"."y".upper() = 'BETA'
"st"['x'] > 7
"st"."x" is null
"st" is null
st.x + 1 = 4
("st"."y").lower() like 'g%'
"name with ""quote""" = 2
(("i" = 3))
("i" = 1 and "b" = true) or "s" = 'beta'
"i" = 1 or "i" = 2 and "b"
not "b" and "i" > 0
("i" > 0 and ("j" > 0 or ("d" > 0 and "s" is not null)))
1 = 1
1 = 2
true
null
"i" > 0 or null
"id" = 777
"id" between 700 and 710
"id" in (3, 500, 1499, 99999)
"id" >= 1495
"id" < 5 or "id" > 1497
"id" > 100 and "id" < 120 and "b"
"id" % 500 = 0
"id" = 777.0
"id" > 1490.5
"id"::double > 1497
'''.strip().split("\n")

ORDERS = ['"i"', '"i" desc', '"i" asc nulls first', '"i" desc nulls first', '"d"', '"d" desc', '"f" desc nulls first', '"s"', '"s" desc',
          '"s", "i" desc', '"day" desc, "s" nulls first, "d"', '"dec"', '"u" desc', '"b", "i"', '"ts"', '"time" desc', 'length("s") desc, "s"',
          '"st"."x" desc, "st"."y"', '"i" % 5, "j"', '"t" DESC NULLS LAST', 'lower("s")', '"id" desc', 'abs("i")']


class Generator:
    """Random conditions of bounded size over the columns of the table."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def number(self):
        r = self.rng
        return r.choice([str(r.randint(-25, 25)), str(r.randint(0, 9)), f"{r.uniform(-6, 6):.2f}", f"{r.randint(-3, 3)}e{r.randint(0, 2)}", "0", "1.5"])

    def text(self):
        return "'" + self.rng.choice(WORDS).replace("'", "''") + "'"

    def numeric(self, depth):
        r = self.rng
        simple = ['"i"', '"j"', '"small"', '"d"', '"f"', '"dec"', '"u"', '"id"', '"st"."x"', 'len("l")', 'length("s")', '"l"[1]', 'year("day")']
        if depth == 0 or r.random() < 0.7:
            return r.choice(simple)
        left, right = r.choice(['"i"', '"small"', '"d"', '"id"', '"st"."x"']), r.choice(['"i"', '"small"', '"d"', self.number()])
        return f"({left} {r.choice(['+', '-', '*', '%'])} {right})"

    def textual(self):
        return self.rng.choice(['"s"', '"t"', 'lower("s")', 'substr("t", 1, 3)', '"st"."y"', '"ls"[1]', 'coalesce("s", \'none\')'])

    def leaf(self):
        r = self.rng
        compare = lambda: r.choice(["=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"])
        kind = r.randrange(10)
        if kind <= 2:
            return f"{self.numeric(1)} {compare()} {self.number()}"
        if kind == 3:
            return f"{self.numeric(1)} {compare()} {self.numeric(1)}"
        if kind == 4:
            return f"{self.textual()} {compare()} {self.text()}"
        if kind == 5:
            pattern = "'" + r.choice(["%a%", "a%", "%a", "_eta", "%1%", "Gam%", "%é%"]) + "'"
            return f"{self.textual()} {r.choice(['like', 'not like', 'ilike', 'not ilike'])} {pattern}"
        if kind == 6:
            items = ", ".join([self.number() for _ in range(r.randint(1, 4))] + (["null"] if r.random() < 0.1 else []))
            return f"{self.numeric(0)} {r.choice(['in', 'not in'])} ({items})"
        if kind == 7:
            return f"{r.choice([self.numeric(1), self.textual()])} is {r.choice(['', 'not '])}null"
        if kind == 8:
            low, high = sorted([r.randint(-20, 20), r.randint(-20, 20)])
            return f"{self.numeric(1)} {r.choice(['between', 'not between'])} {low} and {high}"
        moment = f"'{r.randint(2018, 2022)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}'"
        column = r.choice(['"day"', '"ts"', '"tz"'])
        return r.choice([f"{column} {compare()} {moment}", '"b"', '"b" is not true', f'"id" {compare()} {r.randint(0, ROWS)}'])

    def condition(self, depth=3):
        r = self.rng
        if depth == 0 or r.random() < 0.35:
            return self.leaf()
        kind = r.randrange(5)
        if kind == 0:
            return f"not ({self.condition(depth - 1)})"
        joined = f" {r.choice(['and', 'or', 'AND', 'Or'])} ".join(self.condition(depth - 1) for _ in range(r.randint(2, 3)))
        return f"({joined})"


def answers(connection, queries):
    """The rows that DuckDB finds; queries that it refuses are left out. Equal keys come in the order of the file."""
    kept = []
    for condition, order in queries:
        sql = "select id from data"
        if condition is not None:
            sql += f" where {condition}"
        sql += f" order by {order}, id" if order else " order by id"
        try:
            rows = [row[0] for row in connection.execute(sql).fetchall()]
        except duckdb.Error as error:
            print(f"refused: {condition} / {order}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        kept.append({"where": condition, "orderby": order, "count": len(rows),
                     "rows": rows[:100] if order or len(rows) <= 100 else bits(rows)})
    return kept


def bits(rows):
    """A hexadecimal number whose bit n, from the lowest, says whether row n is among them."""
    return format(sum(1 << row for row in rows), "x")


def connect():
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    connection.execute(f"create table data as select * from read_parquet('{HERE / 'table.parquet'}')")
    return connection


def generated(count, seed):
    generator = Generator(seed)
    return [(generator.condition(), generator.rng.choice(ORDERS) if generator.rng.random() < 0.1 else None) for _ in range(count)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--live", type=int, default=0)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.live:
        seed = arguments.seed if arguments.seed is not None else random.randrange(10**9)
        print(f"seed {seed}")
        queries = answers(connect(), generated(arguments.live, seed))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(queries, file, ensure_ascii=False)
            file.flush()
            command = ["cargo", "test", "-p", "belvedere-engine", "--test", "query", "recorded_queries", "--", "--nocapture"]
            sys.exit(subprocess.run(command, env={**os.environ, "QUERY_CORPUS": file.name}).returncode)
    pq.write_table(table(), HERE / "table.parquet", row_group_size=500, data_page_size=1, write_batch_size=100,
                   write_page_index=True, compression="zstd", store_schema=False)
    queries = [(condition, None) for condition in FIXED] + [(None, order) for order in ORDERS]
    queries += [('"i" > 0', order) for order in ORDERS[:6]] + generated(150, 1)
    lines = ",\n".join(json.dumps(query, ensure_ascii=False, separators=(",", ":")) for query in answers(connect(), queries))
    (HERE / "corpus.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
