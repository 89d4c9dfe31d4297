"""Kinds of files that are no log: each is recognised by its first bytes, and refused with the line to type.

Whoever converts such a file decides things that this library cannot guess, such as the sheet or the table that is the
log. FILE stands for the file in each line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from caser.data.compression import members_of
from caser.data.named_values import advice_on_named_values
from caser.errors import DataError


class Kind(NamedTuple):
    """A kind of file that is refused.

    name  what the file is, such as "an SQLite database"        advice  what to do instead
    """

    name: str
    advice: str


def _pandas(call: str) -> str:
    return f"""convert it: python -c "import pandas; {call}.to_parquet('log.parquet')\""""


SQLITE = Kind("an SQLite database", "write its table as CSV: sqlite3 -header -csv FILE 'select * from TABLE' > log.csv")
EXCEL = Kind("an Excel workbook", "save the sheet as CSV, or " + _pandas("pandas.read_excel('FILE')"))
PICKLE = Kind(
    "a Python pickle, which can run any code",
    "if you trust it, " + _pandas("pandas.read_pickle('FILE')"),
)
MEMBERS = "unpack it ({}) and name the log"
TABLE_FORMAT = "write a CSV or Parquet file with one row per interaction"

KINDS: tuple[tuple[bytes, Kind], ...] = (
    (rb"SQLite format 3\x00", SQLITE),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", EXCEL._replace(name="an old Excel workbook or another Office document")),
    (rb"\x80[\x02-\x05][\x80-\x95cX}\]K(J]", PICKLE),
    (rb"\(?(lp|dp)\d+\n|ccopy_reg\n|c[a-z_.]+\n[A-Za-z_]+\np?\d*\n?\(", PICKLE),
    (rb"\x89HDF\r\n\x1a\n", Kind("an HDF5 file", _pandas("pandas.read_hdf('FILE')"))),
    (rb"ORC", Kind("an ORC file", _pandas("pandas.read_orc('FILE')"))),
    (rb"FEA1", Kind("a Feather file of version 1", _pandas("pandas.read_feather('FILE')"))),
    (rb"%PDF-", Kind("a PDF document", TABLE_FORMAT)),
    (rb"7z\xbc\xaf\x27\x1c", Kind("a 7z archive", MEMBERS.format("7z x FILE"))),
    (rb"Rar!\x1a\x07", Kind("a RAR archive", MEMBERS.format("unrar x FILE"))),
    (rb"(?s).{257}ustar", Kind("a tar archive", MEMBERS.format("tar -xf FILE"))),
    (rb"\x04\x22\x4d\x18", Kind("a file compressed with lz4", "unpack it: lz4 -d FILE log")),
    (rb"\xff\x06\x00\x00sNaPpY", Kind("a file compressed with snappy", "unpack it: snzip -d FILE")),
    (rb"\x1f\x9d", Kind("a file compressed with compress (.Z)", "unpack it: uncompress FILE")),
    (rb"\x89LZO", Kind("a file compressed with lzop", "unpack it: lzop -d FILE")),
    (rb"\x93NUMPY", Kind("a NumPy array", "read it with numpy.load, and " + TABLE_FORMAT)),
    (
        rb"RD[XA][23]\n|[XA]\n\x00\x00\x00[\x02\x03]",
        Kind("a data file of R", "in R: write.csv(x, 'log.csv', row.names=FALSE)"),
    ),
    (rb"MATLAB 5\.0 MAT-file", Kind("a MATLAB file", TABLE_FORMAT)),
    (rb"<stata_dta>", Kind("a Stata file", _pandas("pandas.read_stata('FILE')"))),
    (rb"(?s).{8}DUCK", Kind("a DuckDB database", "write its table: duckdb FILE \"copy TABLE to 'log.parquet'\"")),
    (rb"PGDMP", Kind("a dump of PostgreSQL", "restore it, then: psql --csv -c 'select * from TABLE' > log.csv")),
    (rb"\x89PNG|\xff\xd8\xff|GIF8|RIFF", Kind("an image or a recording", TABLE_FORMAT)),
    (
        rb"(?i)\s*(<!doctype html|<html)",
        Kind("a page of the web (HTML), perhaps an error or a log-in page that was saved in place of the file",
             "download it again"),
    ),
    (rb"\s*<\?xml|\s*<[A-Za-z][\w:.-]*( [^<>]*)?>", Kind("an XML file", _pandas("pandas.read_xml('FILE')"))),
    (rb"version https://git-lfs", Kind("a pointer of Git LFS, not the file", "fetch the file: git lfs pull")),
    (
        rb"(?i)\s*(--[^\n]*\n|/\*.*?\*/;?\s*|\s)*(insert\s+into|create\s+table|drop\s+table)\s",
        Kind("a dump of SQL statements", "load it into its database, and export the table as CSV"),
    ),
    (
        rb"\+-{2,}(\+-{2,})*\+[ \r]*\n",
        Kind("a table drawn by a database client", "export it as CSV, for example mysql --batch, or psql --csv"),
    ),
    (
        rb"[^\n|]*\|[^\n]*\n-+(\+-+)+[ \r]*\n",
        Kind("a table drawn by a database client", "export it as CSV, for example psql --csv"),
    ),
    (rb"\s*\|[^\n]*\|[ \r]*\n\s*\|[ :|-]+\|", Kind("a table of Markdown", TABLE_FORMAT)),
    (
        rb"(?s)(.*\n)?COPY [^\n]+ FROM stdin;",
        Kind("a dump of PostgreSQL with COPY sections",
             "write one table: sed -n '/^COPY TABLE /,/^[\\]\\./p' FILE | "
             "sed -e '1s/.*(\\(.*\\)).*/\\1/;1s/, /\\t/g' -e '$d' "
             "> log.tsv"),
    ),
    (
        rb"(---[^\n]*\n)?- +[\w. \"'-]+:[^\n]*\n( +[\w. \"'-]+:[^\n]*\n)",
        Kind("a YAML file", "convert it: python -c \"import pandas, yaml; "
             "pandas.DataFrame(yaml.safe_load(open('FILE'))).to_csv('log.csv', index=False)\""),
    ),
    (
        rb"(?i)(\s|%[^\n]*\n)*@relation\s",
        Kind("an ARFF file of Weka",
             "write its names and rows: (grep -i '^@attribute' FILE | awk '{print $2}' | paste -sd, -; "
             "sed '1,/^@data/Id' FILE) > log.csv"),
    ),
    (
        rb"%%MatrixMarket",
        Kind("a MatrixMarket file, whose first row holds sizes",
             "write its rows and columns as users and items: grep -v '^%' FILE | tail -n +2 | "
             "awk 'BEGIN{print \"user,item\"}{print $1\",\"$2}' > log.csv"),
    ),
    (
        rb"\S+ \S+ \S+ \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:",
        Kind("an access log of a web server",
             "write the address, path and time of each request: (printf 'user\\titem\\ttime\\n'; "
             "sed -nE 's/^(\\S+) .*\\[([^]]+)\\] \"\\S+ (\\S+).*/\\1\\t\\3\\t\\2/p' FILE) > log.tsv, and pass "
             "--time-format '%d/%b/%Y:%H:%M:%S %z'"),
    ),
    (
        rb"[^{\n,;|\t]+[\t ]+\{\s*\"[^\n]*\}[ \r]*(\n|\Z)",
        Kind("lines with JSON after another text", "keep the JSON: sed 's/^[^{]*//' FILE > log.jsonl"),
    ),
    (
        rb"\[?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\S* +(\[[^]\n]*] +)?\[?(TRACE|DEBUG|INFO|WARN\w*|ERROR)\b",
        Kind("a log of a program", "write the user, item and time of each line, with your words: "
             "(echo user,item,time;"
             " sed -nE 's/^([0-9-]+[ T][0-9:]+).* user (\\S+) viewed (\\S+).*/\\2,\\3,\\1/p' FILE) "
             "> log.csv"),
    ),
)  # fmt: skip
"""What a file of each kind begins with, as a pattern, and the kind."""

IN_ZIP: Mapping[str, Kind] = {
    r"xl/.*|\[Content_Types\]\.xml": EXCEL,
    r"content\.xml": EXCEL._replace(name="a spreadsheet of OpenDocument"),
    r".*\.npy": Kind("an archive of NumPy arrays", "read it with numpy.load, and " + TABLE_FORMAT),
    r".*/?data\.pkl": Kind("a file of torch.save", "in Python: load it, and " + TABLE_FORMAT),
}
"""Names of files in a zip file, as patterns, that show that the zip file is a document of another kind."""


def refuse_foreign(data: bytes) -> None:
    """Raise DataError, with the name of the kind and what to do, if a file is of a kind that is no log.

    data  the bytes of a file

    >>> refuse_foreign(b"user,item")
    >>> refuse_foreign(b"%PDF-1.7")
    Traceback (most recent call last):
    ...
    caser.errors.DataError: a log must be ...; got a PDF document; write a CSV or Parquet file with one row ...
    """
    members = members_of(data) if data.startswith(b"PK") else []
    for pattern, kind in IN_ZIP.items():
        if any(re.fullmatch(pattern, member) for member in members):
            _refuse(kind)
    start = data[:5000]
    for pattern_of_bytes, kind in KINDS:
        if re.match(pattern_of_bytes, start):
            _refuse(kind)
    if (named := advice_on_named_values(start)) is not None:
        _refuse(Kind(*named))


def _refuse(kind: Kind) -> None:
    raise DataError(f"a log must be text, JSON, Parquet, Arrow or Avro; got {kind.name}; {kind.advice}")
