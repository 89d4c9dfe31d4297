"""Places: what values say against reading a column without a name by its place.

The place of a column is weak evidence. An e-mail address is a user and a web address an item wherever they stand; a
number with a fraction, the code of a country and a rating are neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from caser.data.ids import MISSING, is_missing, shortened
from caser.data.rivals import FEWEST, are_flags, have_fractions

ITEM_FORMS: Mapping[str, str] = {
    "an id of Amazon": r"^(B[0-9A-Z]{9}|\d{9}X)$",
    "a web address": r"(?i)^(https?://|www\.)\S+$",
    "a path": r"^/[^\s/]",
    "an ISBN or EAN": r"^97[89][- ]?\d{1,5}-?\d{1,7}-?\d{1,6}-?\d$|^\d{13}$",
    "a title with its year": r"\S.*\((19|20)\d\d\)\s*$",
    "a file": r"(?i)\.(html?|php|pdf|jpe?g|png|mp[34])$",
}
"""Forms of items, as patterns, by how a sentence calls them."""

USER_FORMS: Mapping[str, str] = {
    "an e-mail address": r"^[^@\s]+@[^@\s]+\.\w+$",
    "an IP address": r"^\d{1,3}(\.\d{1,3}){3}$|^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{0,4}){3,7}$",
    "a UUID": r"^\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$",
}

ITEM_WORD = r"(?i)^(i|items?|p|prod|products?|sku|movies?|films?|songs?|tracks?|books?|articles?)[-_:]?\d+$"

USER_WORD = r"(?i)^(u|users?|c|cust|customers?|visitors?|members?|clients?)[-_:]?\d+$"

SHORT_WORD = r"^[\p{L}_-]{1,12}$"
"""A code of a country or a kind of device."""

FEATURE = r"^\d+:-?\d+(\.\d+)?$"
"""A feature and its value, as libFM and libSVM write them."""

MOST_WORDS = 12
"""The most values of a column of short words that are no ids."""

LARGEST_RATING, LARGEST_KNOWN = 10, 100
"""The largest number of a usual scale of ratings, and of any."""


def no_ids(few: pl.DataFrame, events: Sequence[int]) -> dict[int, str]:
    """Return the places of columns that cannot hold users or items, and what they hold.

    few  the first rows        events  the places of columns of kinds of events

    >>> no_ids(pl.DataFrame({"1": ["7"] * 20, "2": ["52.5"] * 20, "3": ["DE", "FR"] * 10}), [])
    {2: 'holds fractions', 3: 'holds 2 words only'}
    """
    found = dict.fromkeys(events, "holds kinds of events")
    for place, values in enumerate(few, start=1):
        if place in found or values.dtype.is_nested():
            continue
        if have_fractions(values):
            found[place] = "holds fractions"
        elif are_flags(values) or _are_few_words(values):
            found[place] = f"holds {values.drop_nulls().n_unique()} words only"
    return found


def looks_swapped(few: pl.DataFrame, layout: Sequence[str]) -> str | None:
    """Return what the values in the place of the user or the item look like, if it speaks for the other; else None.

    few  the first rows        layout  the role of each column

    >>> looks_swapped(pl.DataFrame({"1": ["/home", "/shop"], "2": ["7", "8"]}), ["user", "item"])
    "'/home', which looks like a path,"
    """
    places = (layout.index(role) for role in ("user", "item"))
    users, items = (
        few.to_series(place).cast(pl.String, strict=False).drop_nulls().str.strip_chars() for place in places
    )
    if users.is_empty() or items.is_empty():
        return None
    for name, form in ITEM_FORMS.items():
        if _share(users, form) > 0.5 > _share(items, form):
            return f"{shortened(users[0])}, which looks like {name},"
    for name, form in USER_FORMS.items():
        if _share(items, form) > 0.5 > _share(users, form):
            return f"{shortened(items[0])}, which looks like {name}, in the place of the item,"
    is_named = _share(users, ITEM_WORD) > 0.5 > _share(items, ITEM_WORD) and items.str.contains(USER_WORD).any()
    return f"{shortened(users[0])}, which looks like an item," if is_named else None


def speaks_against(few: pl.DataFrame, layout: Sequence[str]) -> bool:
    """Return whether the item may well be in the place of the rating, or a session in the place of the user or item.

    few  the first rows        layout  the role of each column

    >>> rows = pl.DataFrame({"1": range(30), "2": [row % 3 for row in range(30)], "3": [row + 60 for row in range(30)]})
    >>> speaks_against(rows, ["user", "item", "rating"])
    True
    """
    if "rating" not in layout or len(few) < FEWEST:
        return False
    user, item, rating = (few.to_series(layout.index(role)) for role in ("user", "item", "rating"))
    texts = rating.cast(pl.String).str.strip_chars()
    rating = texts.set(is_missing(texts, MISSING), None).str.replace(r"^(-?\d+),(\d+)$", "${1}.${2}")
    numbers = rating.cast(pl.Float64, strict=False)
    largest = numbers.max()
    if "time" not in layout and isinstance(largest, float) and largest > LARGEST_KNOWN:
        return False  # it may be a time; a doubt asks
    pairs = pl.DataFrame({"user": user, "item": item}).n_unique()
    if pairs == user.n_unique() and 2 * user.n_unique() <= len(few):
        return True  # each value has one other in all its rows: orders of customers
    is_rating = have_fractions(rating) or (
        numbers.count() > 0 and isinstance(largest, float) and largest <= LARGEST_RATING
    )
    if is_rating and rating.n_unique() <= item.n_unique() + 1:
        return False
    # An item has several users, and a session has one.
    is_session = pairs == item.n_unique() and user.n_unique() < item.n_unique() and 2 * item.n_unique() <= len(few)
    is_large = isinstance(largest, float) and largest > LARGEST_KNOWN
    return is_session or ((is_large or rating.n_unique() > item.n_unique()) and not have_fractions(rating))


def are_features(few: pl.DataFrame) -> bool:
    """Return whether the columns after the first one hold features and their values, as libFM writes them.

    few  the first rows

    >>> are_features(pl.DataFrame({"1": ["5"], "2": ["6:1"], "3": ["107:1"]}))
    True
    """
    texts = [column.cast(pl.String, strict=False).drop_nulls() for column in few.get_columns()[1:3]]
    return bool(texts) and all(len(text) and _share(text, FEATURE) > 0.95 for text in texts)


def _are_few_words(values: pl.Series) -> bool:
    """Return whether a column holds a few short words only, such as codes of countries or kinds of devices."""
    if values.dtype != pl.String or len(values) < FEWEST:
        return False
    words = values.drop_nulls().unique()
    return 0 < len(words) <= min(MOST_WORDS, len(values) // 5) and bool(words.str.contains(SHORT_WORD).all())


def _share(texts: pl.Series, form: str) -> float:
    return float(texts.str.contains(form).sum() or 0) / len(texts)
