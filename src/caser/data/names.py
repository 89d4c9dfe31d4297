"""Names: which column has which role by its name, and how roles and columns are named in sentences."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence

from caser.data.tables import RawTable

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user": (
        *("userid", "uid", "visitorid", "customerid", "memberid", "reviewerid", "clientid", "accountid", "buyerid"),
        *("user", "visitor", "customer", "member", "reviewer", "client", "account", "buyer"),
        *("sessionid", "session"),
    ),
    "item": (
        *("itemid", "iid", "movieid", "productid", "asin", "parentasin", "articleid", "trackid", "songid", "bookid"),
        *("isbn", "videoid", "newsid", "sku"),
        *("item", "movie", "product", "article", "track", "song", "book", "video", "news"),
        *("businessid", "venueid", "business", "venue"),
    ),
    "time": (
        *("timestamp", "timestampms", "time", "timems", "ts", "datetime", "eventtime", "eventtimestamp", "date"),
        *("createdat", "unixreviewtime", "reviewtime", "unixtime", "eventdate", "fecha", "datum", "zeitpunkt"),
    ),
    "rating": ("rating", "ratings", "stars", "score", "overall", "value"),
    "event_type": ("eventtype", "event", "action", "behavior", "behaviortype", "type"),
}
"""Names of columns by role, most likely first; in lower case, with letters and digits only.

Names of ids come before bare nouns: beside `user_id`, a column `user` holds names, which several people may share.
Sessions, and the places where an item was used, come last."""

LAST: Mapping[str, tuple[str, ...]] = {"user": ("session",), "item": ("business", "venue")}
"""How the names of SYNONYMS begin that come last: a user has several sessions, and a place several items."""

LIST_ENDINGS = ("s", "list", "seq", "sequence", "history")
"""Endings that a name may have besides, in a table of one sequence per row: item_ids, item_id_list."""


ALL_NAMES = frozenset(name + ending for names in SYNONYMS.values() for name in names for ending in ("", *LIST_ENDINGS))
"""Every name, as `plain_name` returns it, that `by_name` gives a role."""

EVENT_KINDS = (
    *("view", "views", "pv", "pageview", "click", "clicks", "clk", "open", "impression", "imp", "visit", "watch"),
    *("buy", "buys", "purchase", "purchased", "order", "ordered", "transaction", "checkout", "cart", "addtocart"),
    *("removefromcart", "fav", "favorite", "like", "liked", "dislike", "share", "save", "wishlist", "comment"),
    *("play", "played", "listen", "skip", "rate", "rated", "search", "download", "install"),
)
"""Usual kinds of events; in lower case, with letters and digits only. A column of them is no column of items."""


def are_event_kinds(values: Iterable[object]) -> bool:
    """Return whether values are kinds of events, and not items.

    values  some values

    >>> are_event_kinds(["view", "add_to_cart"]), are_event_kinds(["view", "tea"])
    (True, False)
    """
    plain = [plain_name(str(value)) for value in values]
    return bool(plain) and all(name in EVENT_KINDS for name in plain)


def flag(role: str) -> str:
    """Return how a role is named in Python and on the command line.

    role  a key of SYNONYMS

    >>> flag("event_type")
    'event_type= (--event-type)'
    """
    return f"{role}= (--{role.replace('_', '-')})"


def option(role: str, *columns: str) -> str:
    """Return how columns are named for a role on the command line, as a shell takes it.

    role  a key of SYNONYMS        columns  one column, or the parts of the time

    >>> option("time", "date", "hour"), option("item", "Lineitem name")
    ('--time date,hour', "--item 'Lineitem name'")
    """
    return f"--{role.replace('_', '-')} {shlex.quote(','.join(columns))}"


def by_name(columns: Sequence[str]) -> dict[str, str]:
    """Return the column of each role that has one by its name, most likely first.

    columns  the names of a table's columns

    >>> by_name(["visitor_id", "Item ID", "price"])
    {'user': 'visitor_id', 'item': 'Item ID'}
    """
    present = set(columns)
    # A field of an object is named by the caller. The rest is quick for a table with a million columns.
    usual = [one for one in columns if plain_name(one) in ALL_NAMES and not _is_field(one, present)]
    found = {role: columns_named(usual, role) for role in SYNONYMS}
    return {role: named[0] for role, named in found.items() if named}


def columns_named(columns: Sequence[str], role: str) -> list[str]:
    """Return all columns that may have a role by their names, most likely first.

    columns  the names of a table's columns        role  a key of SYNONYMS

    >>> columns_named(["user", "user_id", "price", "client"], "user")
    ['user_id', 'user', 'client']
    """
    rank = {name: place for place, name in enumerate(SYNONYMS[role])}
    ranked, present = [], set(columns)
    for place, column in enumerate(columns):
        if _is_field(column, present):
            continue
        plain = plain_name(column)
        shorter = [plain.removesuffix(end) for end in LIST_ENDINGS if plain not in rank and plain.endswith(end)]
        best = min((rank[name] for name in [plain, *shorter] if name in rank), default=None)
        if best is not None:
            ranked.append((best, place, column))
    return [column for _, _, column in sorted(ranked)]


def _is_field(column: str, present: Collection[str]) -> bool:
    """Whether a column is a field of an object that is a column too, such as "user.id" beside "user"."""
    return "." in column and column.rpartition(".")[0] in present


def noun_beside(column: str, columns: Collection[str]) -> str | None:
    """Return the column that is called like a column of ids, but without "id"; None if there is none.

    column  the name of a column of ids        columns  names of columns

    >>> noun_beside("movieId", ["userId", "movie", "movieId"]), noun_beside("movie", ["movie"])
    ('movie', None)
    """
    noun = plain_name(column).removesuffix("id")
    return first_named([one for one in columns if one != column], [noun]) if noun != plain_name(column) else None


def first_named(columns: Collection[str], names: Collection[str]) -> str | None:
    """Return the first column that has the earliest of some names; None if no column has one of them.

    columns  names of columns as the header has them        names  plain names, the most likely one first

    >>> first_named(["ID", "Movie Title"], ["title", "movietitle"])
    'Movie Title'
    """
    plain = {plain_name(column): column for column in reversed(list(columns))}
    return next((plain[name] for name in names if name in plain), None)


def other_users(columns: Sequence[str], chosen: Collection[str]) -> list[str]:
    """Return the columns that could also be the user, by their names, most likely first.

    columns  the names of a table's columns        chosen  the columns that have a role

    >>> other_users(["userId", "sessionId", "itemId"], ["userId", "itemId"])
    ['sessionId']
    """
    return columns_named([column for column in columns if column not in chosen], "user")


def plain_name(column: str) -> str:
    """Return a name in lower case, with its letters and digits only.

    column  the name of a column

    >>> plain_name("Item_ID")
    'itemid'
    """
    return "".join(filter(str.isalnum, column.lower()))


def in_words(name: str, table: RawTable) -> str:
    """Return how a sentence names a column.

    name  the name of a column        table  its table
    """
    return name if table.has_header else f"column {name}"
