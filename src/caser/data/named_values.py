r"""Named values: text in which each value stands behind its name, which is no table until the names are written once.

logfmt (`user=7 item=3`), addresses (`user=7&item=3`), labelled TSV, and the line protocol of InfluxDB are recognised by
their first lines, of which each must have the same names. A table has values only, so that its lines do not match.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LOOKED_AT = 20
"""How many lines are looked at."""

FEWEST_NAMES = {"=": 2, ":": 3}
"""How many names each line must have: two values with a colon may be ids, such as user:7."""

NAME = r"[A-Za-z_@][\w.@-]*"

VALUE = r'(?:"[^"]*"|[^\s,"]*)'

INFLUX = re.compile(rf"[^\s,=]+(?:,{NAME}=[^\s,]*)* {NAME}={VALUE}(?:,{NAME}={VALUE})*(?: -?\d+)?")

BETWEEN = ("\t", ";", "&", "|", ",", " ")
"""What may stand between two values, the surest first."""


def advice_on_named_values(start: bytes) -> tuple[str, str] | None:
    r"""Return what a text of named values is, and the line that writes a table of it; None for another text.

    start  the first bytes of a file

    >>> advice_on_named_values(b"user=7;item=3\nuser=8;item=3\n")[0], advice_on_named_values(b"user,item\n7,3\n")
    ('lines of names and values (name=value)', None)
    """
    lines = start.decode("utf-8", "replace").splitlines()
    lines = [line.strip() for line in (lines[:-1] if len(lines) > 1 and not start.endswith(b"\n") else lines)]
    lines = [line for line in lines if line][:LOOKED_AT]
    if len(lines) < 2 or not all(re.search(f"{NAME}[=:]", line) for line in lines):
        return None
    if all(INFLUX.fullmatch(line) for line in lines):
        fields = r"re.findall(r'([\w.@-]+)=(?:\x22([^\x22]*)\x22|(-?\d+(?=i[\s,])|[^\s,]*))', line)"
        return "lines in the protocol of InfluxDB", _table_of(
            f"{{name: text or bare for name, text, bare in {fields}}} | {{'time': line.split()[-1]}}"
        )
    for sign in FEWEST_NAMES:
        what = f"lines of names and values (name{sign}value)"
        for between in BETWEEN:
            if _have_names([_parts(line, between) for line in lines], sign):
                return what, _table_of(_fields(between, sign))
        if sign == "=" and _have_names([re.findall(rf"(?<!\S){NAME}=[^\s,;|&]*", line) for line in lines], sign):
            return what, _table_of(f"{_fields(' ', sign)} | {{'before': re.split(r'[\\w.@-]+=', line)[0]}}")
    return None


def _parts(line: str, between: str) -> list[str]:
    """Split a line into values with their names; blanks may also stand inside quotes."""
    if between == " ":
        return re.findall(r'[^\s"]*"[^"]*"|\S+', line)
    return [part.strip() for part in line.strip(between).split(between)]


def _have_names(lines: Sequence[list[str]], sign: str) -> bool:
    """Return whether each part of each line is a value with its name, and all lines have nearly the same names."""
    found = [[re.match(rf"({NAME}){sign}", part) for part in line] for line in lines]
    if not all(match for line in found for match in line):
        return False
    names = [[match[1] for match in line if match] for line in found]
    in_all = set(names[0]).intersection(*names)
    return len(in_all) >= FEWEST_NAMES[sign] and all(len(set(line)) == len(line) for line in names)


def _fields(between: str, sign: str) -> str:
    """Return the expression of Python that makes a dictionary of a line."""
    if between == "&":
        return "dict(urllib.parse.parse_qsl(line.strip()))"
    if between == " ":
        found = rf"re.findall(r'([\w.@-]+){sign}(?:\x22([^\x22]*)\x22|(\S*))', line)"
        return f"{{name: text or bare for name, text, bare in {found}}}"
    sep = between.replace("\t", r"\t")
    return f"dict(part.strip().split('{sign}', 1) for part in line.split('{sep}') if '{sign}' in part)"


def _table_of(fields: str) -> str:
    imports = ", ".join(["polars", *(name for name in ("re", "urllib.parse") if f"{name}." in fields)])
    return (
        f"write the names once: python -c \"import {imports}; polars.DataFrame([{fields} for line in open('FILE') if "
        "line.strip()], infer_schema_length=None).write_csv('log.csv')\""
    )
