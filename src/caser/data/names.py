"""Names: which column has which role by its name, and how roles and columns are named in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from caser.data.tables import RawTable

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "user": (
        *("user", "userid", "uid", "visitor", "visitorid", "customer", "customerid", "member", "memberid"),
        *("reviewer", "reviewerid", "client", "clientid", "account", "accountid", "session", "sessionid"),
    ),
    "item": (
        *("item", "itemid", "iid", "movie", "movieid", "product", "productid", "asin", "parentasin", "article"),
        *("articleid", "track", "trackid", "song", "songid", "book", "bookid", "isbn", "business", "businessid"),
        *("video", "videoid", "news", "newsid", "venue", "venueid", "sku"),
    ),
    "time": (
        *("timestamp", "timestampms", "time", "timems", "ts", "datetime", "eventtime", "eventtimestamp", "date"),
        *("createdat", "unixreviewtime", "reviewtime", "unixtime", "eventdate"),
    ),
    "rating": ("rating", "ratings", "stars", "score", "overall", "value"),
    "event_type": ("eventtype", "event", "action", "behavior", "behaviortype", "type"),
}
"""Names of columns by role, most likely first; in lower case, with letters and digits only."""

LIST_ENDINGS = ("s", "list", "seq", "sequence", "history")
"""Endings that a name may have besides, in a table of one sequence per row: item_ids, item_id_list."""


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


def by_name(columns: Sequence[str]) -> dict[str, str]:
    """Return the column of each role that has one by its name, most likely first.

    columns  the names of a table's columns

    >>> by_name(["visitor_id", "Item ID", "price"])
    {'user': 'visitor_id', 'item': 'Item ID'}
    """
    # The order is reversed, so that the first of several columns with the same plain name is kept.
    plain = {plain_name(column): column for column in reversed(columns)}
    shorter = {name.removesuffix(end): column for end in LIST_ENDINGS for name, column in plain.items()} | plain
    guessed = {
        role: next((shorter[name] for name in names if name in shorter), None) for role, names in SYNONYMS.items()
    }
    return {role: column for role, column in guessed.items() if column is not None}


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
    plain = {plain_name(column): column for column in columns if column not in chosen}
    return [plain[name] for name in SYNONYMS["user"] if name in plain]


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
