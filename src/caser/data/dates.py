"""Dates: read text as moments. What has one meaning is read; what has two is refused with the format to name.

Read are ISO 8601 in its usual forms (also with blanks, slashes or points between its parts, and without any sign
between them; days of weeks and of years; clocks of twelve hours), forms with the name of a month, and the dates of
.NET. Not read are months and weeks without a day, years of two digits, and names of zones other than UTC, GMT and Z.
Without a zone, moments are in UTC. Of nine digits of a second, the last three are dropped. 24:00 is the end of a day.
Forms such as 3/4/2020 need a `time_format`, as the order of day and month differs from country to country.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence

import polars as pl

from caser.errors import DataError

READABLE = (
    "ISO 8601 (2020-12-31T23:59:00.123+01:00, 2020/12/31 23:59, 20201231T235900Z), a day as 20201231, numbers of "
    "seconds or milliseconds since 1970, and any form or unit that time_format= (--time-format '%d/%m/%Y %H:%M', "
    "--time-format days) names"
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
    r"(?:(?:\s+|[Tt])(\d{1,2})(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9}))?)?)?(?:\s*([AaPp])[Mm])?"  # clock, half of day
    r"\s*((?:Z|z|UTC|utc|GMT|([+-])(\d\d|\d\b)(?::?(\d\d))?(?:\s+[A-Z]{2,5})?)(?:\[[^]]*\])?)?)?\s*$"  # zone
)
"""An offset may be followed by the name of its zone, as Go and Java write it."""

YEAR_FIRST, DAY_FIRST = r"^\s*\d{4}", r"^\s*\d{4}-\d"
"""How ISO 8601 begins, and how each of FREQUENT."""

WEEK_DAY = r"^\s*(\d{4})-?W(\d\d)-?([1-7])([Tt\s].*)?$"

ORDINAL = r"^\s*(\d{4})-(\d{3})([Tt\s].*)?$"
"""A day of a year, such as 2024-060."""

BARE_ORDINAL = r"^\s*(\d{4})(\d{3})([Tt].*)$"

OF_NET = r"^\s*\\?/?(?:new )?Date\((-?\d{1,16})([+-]\d{4})?\)\\?/?\s*$"
"""Milliseconds since 1970 UTC, as .NET and JavaScript write them; an offset says only where they were written."""

REWRITTEN = (
    ("[\u00a0\u202f\u2009]", " "),  # what stands before AM and PM
    (r"([AaPp])\.\s?[Mm]\.", "${1}M"),
    (r"(?:UTC|GMT)\s?([+-]\d)", "$1"),
    (r"([+-]\d\d:?\d\d)\s*\([^)]*\)\s*$", "$1"),  # the name of a zone after its offset
)
"""What is written in several ways, as patterns, and the way in which it is read."""

MONTHS_REWRITTEN = (
    (r"\b(?:GMT|UTC|UT|Z)(\s*|\s+\d{4}\s*)$", "+0000$1"),
    (r"(?i)\b(jan|feb|mar|apr|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)\.", "$1"),
    (r"(?i)\bsept\b\.?", "Sep"),
    (r"(\d)(?:st|nd|rd|th)\b", "$1"),
    (r"(\d{4}),?(?:\s+at)?\s+(\d{1,2}:)", "$1 $2"),
    (r"(:.*\s[+-])(\d)(:\d\d)?\s*$", "${1}0$2$3"),  # an offset of hours, as Firestore writes it
    (r"(:.*\s[+-]\d\d)\s*$", "${1}00"),
)

CLOCKS = ("%H:%M:%S%.f", "%H:%M", "%I:%M:%S %p", "%I:%M %p")

WEEKDAYS = (*("%A, %d %B %Y", "%A %d %B %Y", "%A, %B %d, %Y", "%A %B %d, %Y", "%A %B %d %Y"), "%A, %d-%B-%Y")

NAMED_MONTHS = (
    "%A %B %d %H:%M:%S %z %Y",  # Twitter
    "%A %B %e %H:%M:%S %Y",
    "%d/%B/%Y:%H:%M:%S %z",  # web servers
    *(
        f"{date}{clock}{zone}"
        for date in (
            *("%d %B %Y", "%d-%B-%Y", "%d/%B/%Y", "%B %d, %Y", "%B %d %Y", "%Y-%B-%d", "%Y %B %d"),
            *WEEKDAYS,
        )
        for clock in ("", *(f" {clock}" for clock in CLOCKS))
        for zone in ("", " %z")[: 1 + bool(clock)]
    ),
)
"""Forms with the name of a month, which have one meaning."""

NUMBERED_MONTHS = tuple(
    f"{date}{clock}"
    for date in (
        *(sign.join(order) for sign in "/-." for order in (("%d", "%m", "%Y"), ("%m", "%d", "%Y"))),
        *(sign.join(order) for sign in "/-." for order in (("%d", "%m", "%y"), ("%m", "%d", "%y"), ("%y", "%m", "%d"))),
        *(sign.join(("%d", "%B", "%y")) for sign in "-/ ."),
        *("%B %d, %y", "%B %d %y", "%y-%B-%d"),
        *("%d %m, %Y", "%m %d, %Y", "%d %m %Y", "%m %d %Y", "%d%m%Y", "%m%d%Y", "%Y-%m", "%Y/%m", "%m/%Y"),
    )
    for clock in ("", *(f"{between}{clock}" for between in (" ", ", ") for clock in CLOCKS))
)
"""Forms with more than one meaning, or without a day: they are suggested, never chosen."""

MONTH_NAME = r"(?i)\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"

NUMBERED = (
    r"^\s*\d{1,4}[-/. ](\d{1,2}|\p{L}{3,9})\D|^\s*\p{L}{3,9} \d{1,2},? \d\d\b|^\s*\d{1,4}[-/]\d{1,4}\s*$|^\s*\d{8}\b"
)
"""How each of NUMBERED_MONTHS begins."""

ZONED = r"(?i)[:T]\d[\d:.,]*\s*(Z|UTC|GMT|[+-]\d\d(:?\d\d)?)(\s*|\s\d{4})$"
"""A moment with a zone."""

ZONE_NAME = re.compile(r"(.*?[\dMm])\s*[\[(]?(?<![A-Za-z])([A-Z]{1,5}|[A-Z][a-z]+/[A-Z][\w/-]+)[\])]?((?:\s\d{4})?)\s*")
"""A moment, the name of a zone, and perhaps a year behind it."""

TIME_OF_DAY = r"^\s*\d{1,2}:\d\d(:\d\d([.,]\d+)?)?(\s*[AaPp][Mm])?\s*$"

DAY_LENGTH = 86_400_000_000  # microseconds

YEAR_1000 = -30_610_224_000_000_000  # microseconds since 1970

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
    if text.head(TRIED).str.contains(DAY_FIRST).any():
        moments = _filled(moments, text, FREQUENT)
    if moments.null_count() > text.null_count():
        rest = (moments.is_null() & text.is_not_null()).arg_true()
        moments = moments.scatter(rest, _other_dates(text.gather(rest)))
    return moments


def zone_without_meaning(text: str) -> str | None:
    """Return the name of a zone at the end of a time that would be read without it; None if there is none.

    text  a time that is not read

    >>> zone_without_meaning("2020-12-31 23:59 CET"), zone_without_meaning("2020-12-31 25:00 CET")
    ('CET', None)
    """
    named = ZONE_NAME.fullmatch(text)
    if named is None or named[2].upper() in ("AM", "PM"):
        return None
    return named[2] if read_dates(pl.Series([f"{named[1]} UTC{named[3]}"])).count() else None


def parse(text: pl.Series, form: str) -> pl.Series:
    """Return texts of one form as microseconds since 1970 UTC, null for texts of another form.

    text  text        form  as for `strptime`, such as "%d/%m/%Y %H:%M"; without a zone, moments are in UTC

    Raises DataError for a form that describes no moment.

    >>> parse(pl.Series(["02/01/1970", "1970"]), "%d/%m/%Y").to_list()
    [86400000000, None]
    """
    if "%" not in form:
        raise DataError(f"time_format must describe a moment, such as '%d/%m/%Y %H:%M', or name a unit; got {form!r}")
    form = form.replace(".%f", "%.f")  # as Python writes a fraction of a second
    if re.search(r"(?<!%)%f", form):
        raise DataError(
            f"time_format (--time-format) must have %.f for a fraction of a second with its point, or %3f, %6f or %9f "
            f"for as many digits; got {form!r}"
        )
    if re.search(r"%[-_0]?[HIkl]", form) and not re.search(r"%[MTRXr]", form):  # polars wants the minute of an hour
        text, form = text + " 00", f"{form} %M"
    moments = _parsed(text, form) if "%Z" not in form else _with_zone_names(text, form)
    # "21-01-05" is not in the year 21: %Y reads four digits.
    is_early = moments < YEAR_1000
    return moments.set(is_early, None) if is_early.any() else moments


def _parsed(text: pl.Series, form: str) -> pl.Series:
    """Read texts as polars does, which passes over the name of a zone and lets %Y be of two digits."""
    try:
        moments = text.str.strip_chars().str.to_datetime(form, strict=False, time_unit="us", time_zone="UTC")
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(
            f"time_format must describe a moment, such as '%d/%m/%Y %H:%M'; got {form!r}: {reason}"
        ) from None
    return moments.cast(pl.Int64)


def _with_zone_names(text: pl.Series, form: str) -> pl.Series:
    """Read texts with names of zones; names other than UTC, GMT and Z are refused, as they have several meanings."""
    known = text.str.replace(r"\b(?i:UTC|GMT|Z)(?:\s|$)|(\d)(?:Z|z)$", "${1}+0000 ")
    moments = _parsed(known, form.replace("%Z", "%z"))
    unknown = (moments.is_null() & _parsed(text, form).is_not_null()).arg_true()
    if len(unknown):
        raise DataError(
            f"%Z in time_format (--time-format) reads UTC, GMT, Z and offsets such as +0100 only; got "
            f"{text[unknown[0]]!r}, and such names of zones have several meanings; write the offset instead of the "
            "name, and %z in the format"
        )
    return moments


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
        return times.dtype in (pl.Time, pl.Duration)
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
    return parse(text, form).null_count() == 0


def _other_dates(text: pl.Series) -> pl.Series:
    """Read all forms but the FREQUENT ones."""
    text = _replaced(text, REWRITTEN)
    moments = pl.repeat(None, len(text), dtype=pl.Int64, eager=True)
    if text.str.contains(YEAR_FIRST).any():
        moments = _iso(_with_calendar_days(text))
    milliseconds = text.str.extract(OF_NET, 1).cast(pl.Int64, strict=False)
    if milliseconds.count():
        moments = moments.zip_with(moments.is_not_null(), milliseconds * 1000)
    if text.filter(moments.is_null())[:TRIED].str.contains(MONTH_NAME).any():
        moments = _filled(moments, _replaced(text, MONTHS_REWRITTEN), NAMED_MONTHS)
    return moments


def _replaced(text: pl.Series, patterns: Sequence[tuple[str, str]]) -> pl.Series:
    for pattern, value in patterns:
        text = text.str.replace(pattern, value)
    return text


def _with_calendar_days(text: pl.Series) -> pl.Series:
    """Write days of weeks, such as 2024-W05-3, and of years, such as 2024-060, by month and day."""
    for pattern, form in ((WEEK_DAY, "%G-%V-%u"), (ORDINAL, "%Y-%j"), (BARE_ORDINAL, "%Y-%j")):
        if not (found := text.str.contains(pattern)).any():
            continue
        *parts, clocks = text.str.extract_groups(pattern).struct.unnest()
        days = pl.select(pl.concat_str(parts, separator="-")).to_series()
        calendar = days.str.to_date(form, strict=False).cast(pl.String)
        clock = clocks.fill_null("").str.strip_chars_start("Tt")
        text = text.zip_with(~found.fill_null(False), calendar + " " + clock)
    return text


def _iso(text: pl.Series) -> pl.Series:
    """Read all forms of ISO 8601: find the parts and write them in one form."""
    found = text.to_frame("text").select(pl.col("text").str.extract_groups(ISO.pattern)).to_series().struct.unnest()
    parts = dict(enumerate(found.get_columns(), start=1))
    two = {place: parts[place].str.zfill(2) for place in (3, 4, 5, 6, 7, 8, 9, 14, 15)}
    hour, is_midnight = _hours(
        parts[7], parts[11], pl.select(pl.concat_str(parts[8], parts[9], parts[10], ignore_nulls=True)).to_series()
    )
    whole = pl.DataFrame(
        {
            "year": parts[1],
            "month": pl.select(pl.coalesce(two[3], two[5])).to_series(),
            "day": pl.select(pl.coalesce(two[4], two[6])).to_series(),
            "hour": hour,
            "minute": two[8].fill_null("00"),
            "second": two[9].fill_null("00"),
            "fraction": parts[10].fill_null("0"),
            "sign": parts[13].fill_null("+"),
            "hours": two[14].fill_null("00"),
            "minutes": two[15].fill_null("00"),
        }
    )
    written = whole.select(
        pl.format("{}-{}-{}T{}:{}:{}.{}{}{}:{}", *whole.columns),
    ).to_series()
    moments = written.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%:z", strict=False, time_unit="us", time_zone="UTC")
    return moments.cast(pl.Int64) + is_midnight.cast(pl.Int64) * DAY_LENGTH


def _hours(hours: pl.Series, halves: pl.Series, rest: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return hours as two digits of a clock of 24 hours, and whether each is the midnight at the end of its day.

    hours, halves, rest  the digits of the hour, the a of AM or the p of PM, and the digits after the hour; or null
    """
    hour = hours.cast(pl.Int64).fill_null(0)
    is_end = (hour == 24) & halves.is_null() & ~rest.fill_null("").str.contains("[1-9]")
    is_later = (halves.str.to_lowercase() == "p").fill_null(False)
    of_twelve = (hour % 12 + 12 * is_later.cast(pl.Int64)).set(hour > 12, 99)
    hour = hour.zip_with(halves.is_null(), of_twelve).set(is_end, 0)
    return hour.cast(pl.String).str.zfill(2), is_end
