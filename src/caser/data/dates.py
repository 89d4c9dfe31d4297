"""Dates: read text as moments. What has one meaning is read; what has two is refused with the format to name.

Read are ISO 8601 in its usual forms (also with blanks, slashes or points between its parts, and without any sign
between them), and forms with the name of a month. Not read are weeks, days of the year, months without a day, years of
two digits, and names of zones other than UTC, GMT and Z. A moment without a zone is in UTC. Fractions of a second may
have nine digits; the last three are dropped. Forms such as 3/4/2020 need a `time_format`, because the order of day and
month differs from country to country.
"""

from __future__ import annotations

import datetime
import re

import polars as pl

from caser.errors import DataError

READABLE = (
    "ISO 8601 (2020-12-31T23:59:00.123+01:00, 2020/12/31 23:59, 20201231T235900Z), a day as 20201231, numbers of "
    "seconds or milliseconds since 1970, and any form that time_format= (--time-format '%d/%m/%Y %H:%M') describes"
)
"""The forms of times that are read, for a sentence."""

FREQUENT = (
    "%Y-%m-%d",
    *(
        f"%Y-%m-%d{between}%H:%M:%S{end}"
        for between in (" ", "T")
        for end in ("", "Z", " UTC", "%.f", "%.fZ", "%.f UTC", "%#z", "%.f%#z")
    ),
)
"""Forms of ISO 8601 that are read without rewriting the text, which is faster."""

ISO = re.compile(
    r"^\s*(\d{4})(?:([-/.])(\d{1,2})[-/.](\d{1,2})|(\d\d)(\d\d))"  # year, month, day
    r"(?:(?:\s+|[Tt])(\d{1,2})(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?)?"  # hour, minute, second, fraction
    r"\s*(Z|z|UTC|utc|GMT|(?:UTC|GMT)?([+-])(\d\d)(?::?(\d\d))?)?)?\s*$"  # zone
)

CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")

NAMED_MONTHS = (
    "%A %B %d %H:%M:%S %z %Y",  # Twitter
    "%A %B %e %H:%M:%S %Y",
    *(f"{day}%d %B %Y %H:%M:%S %z" for day in ("%A, ", "")),  # e-mail
    "%d/%B/%Y:%H:%M:%S %z",  # web servers
    *(
        f"{date}{clock}"
        for date in (
            "%d %B %Y",
            "%d-%B-%Y",
            "%d/%B/%Y",
            "%B %d, %Y",
            "%B %d %Y",
            "%Y-%B-%d",
            "%A, %d %B %Y",
            "%A, %B %d, %Y",
        )
        for clock in ("", *(f"{between}{clock}" for between in (" ", ", ", " at ") for clock in CLOCKS))
    ),
)
"""Forms with the name of a month, which have one meaning."""

NUMBERED_MONTHS = tuple(
    f"{date}{clock}"
    for date in (
        *(sign.join(order) for sign in "/-." for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"))),
        *(sign.join(order) for sign in "/-." for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"), ("%y", "%m", "%d"))),
        *("%d %m, %Y", "%m %d, %Y", "%d %m %Y", "%m %d %Y", "%d%m%Y", "%m%d%Y", "%Y-%m", "%Y/%m", "%m/%Y"),
    )
    for clock in ("", *(f"{between}{clock}" for between in (" ", ", ") for clock in CLOCKS))
)
"""Forms with more than one meaning, or without a day: they are suggested, never chosen."""

MONTH_NAME = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"

NUMBERED = r"^\s*\d{1,4}[-/. ]\d{1,2}\D|^\s*\d{1,4}[-/]\d{1,4}\s*$|^\s*\d{8}\b"
"""How each of NUMBERED_MONTHS begins."""

TIME_OF_DAY = r"^\s*\d{1,2}:\d\d(:\d\d([.,]\d+)?)?(\s*[AaPp][Mm])?\s*$"

YEAR_1000 = -30_610_224_000_000_000
"""The beginning of the year 1000, in microseconds since 1970."""

DAY = r"^\s*(\d{8}|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4})\s*$"

TRIED = 1000
"""How many texts are tried before a form is tried on all."""


def read_dates(text: pl.Series) -> pl.Series:
    """Return texts as microseconds since 1970 UTC, null for what is no moment of one meaning.

    text  text of any kind

    >>> read_dates(pl.Series(["1970-01-02", "3/4/1970", "Thu Jan 01 00:00:02 +0000 1970"])).to_list()
    [86400000000, None, 2000000]
    """
    moments = pl.repeat(None, len(text), dtype=pl.Int64, eager=True)
    moments = _filled(moments, text, FREQUENT)
    if moments.null_count() > text.null_count():
        rest = (moments.is_null() & text.is_not_null()).arg_true()
        moments = moments.scatter(rest, _rewritten(text.gather(rest)))
    if text.filter(moments.is_null())[:TRIED].str.contains(MONTH_NAME).any():
        moments = _filled(moments, text.str.replace(r"\b(GMT|UTC|Z)\s*$", "+0000"), NAMED_MONTHS)
    return moments


def parse(text: pl.Series, form: str) -> pl.Series:
    """Return texts of one form as microseconds since 1970 UTC, null for texts of another form.

    text  text        form  as for `strptime`, such as "%d/%m/%Y %H:%M"; without a zone, moments are in UTC

    Raises DataError for a form that describes no moment.

    >>> parse(pl.Series(["02/01/1970", "1970"]), "%d/%m/%Y").to_list()
    [86400000000, None]
    """
    if "%" not in form:
        raise DataError(f"time_format must describe a moment, such as '%d/%m/%Y %H:%M', or name a unit; got {form!r}")
    if re.search(r"%[-_0]?[HIkl]", form) and not re.search(r"%[MTRXr]", form):  # polars wants the minute of an hour
        text, form = text + " 00", f"{form} %M"
    try:
        moments = text.str.strip_chars().str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"time_format must describe a moment, such as '%d/%m/%Y %H:%M'; got {form!r}: {reason}"
        ) from None
    return moments.cast(pl.Int64)


def fitting_forms(text: pl.Series) -> list[str]:
    """Return the forms with more than one meaning that read every text, most usual first.

    text  text; missing values are null

    >>> fitting_forms(pl.Series(["3/4/2020", "13/4/2020"])), fitting_forms(pl.Series(["soon"]))
    (['%d/%m/%Y'], [])
    """
    text = text.drop_nulls().unique(maintain_order=True)
    few = text[:TRIED]
    if not few.str.contains(NUMBERED).all():
        return []
    return [form for form in NUMBERED_MONTHS if len(few) and _reads_all(few, form) and _reads_all(text, form)]


def are_times_of_day(times: pl.Series) -> bool:
    """Return whether a column holds times of day, such as 23:59, without a day.

    times  a column of any type

    >>> are_times_of_day(pl.Series(["23:59:00", "0:10 AM"])), are_times_of_day(pl.Series(["2020-01-01 23:59"]))
    (True, False)
    """
    if times.dtype != pl.String:
        return bool(times.dtype == pl.Time)
    few = times.drop_nulls()[:TRIED]
    return len(few) > 0 and bool(few.str.contains(TIME_OF_DAY).all())


def are_days(times: pl.Series) -> bool:
    """Return whether the first values of a column are days without a time of day.

    times  a column of any type

    >>> are_days(pl.Series(["2020-01-01"])), are_days(pl.Series([20200101])), are_days(pl.Series([1600000000]))
    (True, True, False)
    """
    few = times.drop_nulls()[:TRIED]
    if few.dtype == pl.Datetime:
        return bool((few.dt.time() == datetime.time(0)).all())
    if few.dtype != pl.String and not few.dtype.is_integer():
        return few.dtype == pl.Date
    return len(few) > 0 and bool(few.cast(pl.String).str.contains(DAY).all())


def _filled(moments: pl.Series, text: pl.Series, forms: tuple[str, ...]) -> pl.Series:
    """Read the texts that are not read yet with each form that reads some of the first of them, most frequent first."""
    few = text.filter(moments.is_null() & text.is_not_null())[:TRIED]
    counts = {form: parse(few, form).count() for form in forms} if len(few) else {}
    for form in sorted((form for form, count in counts.items() if count), key=lambda form: -counts[form]):
        rest = (moments.is_null() & text.is_not_null()).arg_true()
        if len(rest) == len(moments):
            moments = parse(text, form)
        elif len(rest):
            moments = moments.scatter(rest, parse(text.gather(rest), form))
    return moments


def _reads_all(text: pl.Series, form: str) -> bool:
    """Return whether a form reads every text, in years of four digits: "12/31/20" is not in the year 20."""
    moments = parse(text, form)
    return moments.null_count() == 0 and bool((moments > YEAR_1000).all())


def _rewritten(text: pl.Series) -> pl.Series:
    """Read all other forms of ISO 8601: find the parts and write them in one form."""
    found = text.to_frame("text").select(pl.col("text").str.extract_groups(ISO.pattern)).to_series().struct.unnest()
    parts = dict(enumerate(found.get_columns(), start=1))
    two = {place: parts[place].str.zfill(2) for place in (3, 4, 5, 6, 7, 8, 9, 13, 14)}
    whole = pl.DataFrame(
        {
            "year": parts[1],
            "month": pl.select(pl.coalesce(two[3], two[5])).to_series(),
            "day": pl.select(pl.coalesce(two[4], two[6])).to_series(),
            "hour": two[7].fill_null("00"),
            "minute": two[8].fill_null("00"),
            "second": two[9].fill_null("00"),
            "fraction": parts[10].fill_null("0"),
            "sign": parts[12].fill_null("+"),
            "hours": two[13].fill_null("00"),
            "minutes": two[14].fill_null("00"),
        }
    )
    written = whole.select(
        pl.format("{}-{}-{}T{}:{}:{}.{}{}{}:{}", *whole.columns),
    ).to_series()
    moments = written.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", strict=False, time_unit="us", time_zone="UTC")
    return moments.cast(pl.Int64)
