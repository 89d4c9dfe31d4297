"""Column words: the words in the name of a column, and which role they speak for.

`fullVisitorId`, `user_pseudo_id` and `kundennummer` have a word for a person and a word for an id. A name speaks for a
role if all its words fit: `user_agent` and `order_item_id` do not name a user and an item. The exact names of
`names.py` come first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import cache

from caser.data.names import LAST, columns_named, plain_name


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text with blanks between them.

    text  words

    >>> word_set("id key") == {"id", "key"}
    True
    """
    return frozenset(text.split())


IDS = word_set(
    "id ids key no nr num number code hash uuid guid uid pk sk ref nummer numero numéro número numer "
    "barcode 编号 番号 コード номер код"
)
"""Words for an id, at the end of a name."""

NAMES = word_set("name title url address label")
"""Words for a name, which several may share."""

QUALIFIERS = word_set(
    "full pseudo distinct anonymous anon unique hashed global external internal ext primary src source master original "
    "raw my encrypted enc masked crm ga stock in of the"
)
"""Words that change nothing about what a name means."""

NOUNS: Mapping[str, frozenset[str]] = {
    "user": word_set(
        "user usr users customer customers cust client visitor member account acct buyer reviewer person subscriber "
        "viewer player gamer reader listener student learner patient shopper consumer guest passenger voter "
        "rater patron borrower purchaser donor household msno kunde kunden nutzer benutzer besucher utilisateur "
        "acheteur usuario cliente clientes utente klant gebruiker klient uzytkownik użytkownik kund användare "
        "用户 用戶 顾客 客户 会员 ユーザー 顧客 사용자 고객 пользователь клиент покупатель"
    ),
    "item": word_set(
        "item product prod sku article artikel movie film track song book video news anime manga recipe game course "
        "lesson lecture goods listing dish ean gtin upc barcode isbn asin episode podcast story paper job content "
        "producto produto produkt produit prodotto artículo articolo 商品 产品 物品 製品 アイテム 상품 товар"
    ),
}
"""Words for a person, and for what is used, bought or read."""

OTHER_NOUNS: Mapping[str, frozenset[str]] = {
    "user": word_set(
        "username login nick nickname screenname email mail phone cookie device profile card loyalty steam distinct "
        "anonymous pseudo ip mac employee"
    ),
    "item": word_set("artist album show series hotel restaurant place poi property venue business page post url"),
}
"""Words for what belongs to a person, and for what an item belongs to: they count if there is nothing better."""


SHARED = word_set("device ip mac terminal")
"""Words for what several persons may share."""

SERVES = word_set("employee staff")
"""Words for persons who serve others."""

SERVED = word_set("receipt ticket order invoice basket till register pos table store shop sale transaction")
"""Words in the names of columns that are there where somebody is served."""

NEEDS_ID = word_set("page post title content job paper story show place series")
"""Words that often mean something else than an id or a name of one: the text of a review, the number of a page."""


def words_in(name: str) -> tuple[str, ...]:
    """Return the words in a name, in lower case: split at capitals, digits and signs, and where known words meet.

    name  the name of a column

    >>> words_in("fullVisitorId"), words_in("Customer No."), words_in("kundennummer"), words_in("user_2_agent")
    (('full', 'visitor', 'id'), ('customer', 'no'), ('kunden', 'nummer'), ('user', 'agent'))
    """
    spaced = re.sub(r"([a-z])([A-Z])|([A-Z])([A-Z][a-z])", r"\1\3 \2\4", name)
    return tuple(word for part in re.findall(r"[^\W\d_]+", spaced.lower()) for word in _known_parts(part))


@cache
def _known_parts(word: str) -> tuple[str, ...]:
    """Split a word into known words; return it whole if these do not fill it."""
    known = _vocabulary()
    if word in known:
        return (word,)
    for end in range(len(word) - 2, 1, -1):
        if word[:end] in known and len(rest := _known_parts(word[end:])) and set(rest) <= known:
            return (word[:end], *rest)
    return (word,)


@cache
def _vocabulary() -> frozenset[str]:
    nouns = [words for table in (NOUNS, OTHER_NOUNS) for words in table.values()]
    return frozenset().union(IDS, NAMES, QUALIFIERS - {"in", "of", "the"}, *nouns)


def speaks_for(name: str, role: str) -> int | None:
    """Return how well the words in a name speak for a role: 0 for an id, 1 for a noun, 2 for a name, 3 for something
    that only belongs to it, 4 for what several may share; None if they do not.

    name  the name of a column        role  "user" or "item"

    >>> [speaks_for(name, "user") for name in ("person_id", "visitor", "user_name", "deviceId", "user_agent")]
    [0, 1, 2, 4, None]
    >>> [speaks_for(name, "item") for name in ("StockCode", "order_item_id", "items_count", "event_id")]
    [0, None, None, None]
    """
    words = set(words_in(name))
    nouns, others = words & NOUNS[role], words & OTHER_NOUNS[role]
    if role == "item" and words == {"stock", "code"}:
        return 0
    if not nouns | others or not words <= nouns | others | IDS | NAMES | QUALIFIERS:
        return None
    if words_in(name)[0] in IDS - {"uid", "barcode"} or (words <= NEEDS_ID | QUALIFIERS):  # the number of users; a page
        return None
    if not nouns:
        return 4 if words & (SHARED | SERVES) else 3
    if words & NAMES or others - QUALIFIERS:
        return 2
    return 0 if words & IDS else 1


def candidates(columns: Sequence[str], role: str) -> list[str]:
    """Return the columns that may have a role by their names, the most likely first: usual names, names whose words
    speak for it, and at last sessions, shops and venues. Before a bare noun comes the same noun with a word for an id.

    columns  the names of a table's columns        role  "user" or "item"

    >>> candidates(["session_id", "Customer", "Customer No.", "login"], "user")
    ['Customer No.', 'Customer', 'login', 'session_id']
    """
    exact = columns_named(columns, role)
    first = [name for name in exact if not is_last(name, role)]
    ranks = {name: rank for name in columns if name not in exact and (rank := _rank(name, role, columns)) is not None}
    same = Counter(words_in(name) for name in columns)  # item_1, item_2: one event in several columns
    ranks = {name: rank for name, rank in ranks.items() if same[words_in(name)] == 1}
    by_words = sorted(ranks, key=lambda name: ranks[name])
    for name in [one for one in by_words if ranks[one] == 0]:
        nouns = set(words_in(name)) & NOUNS[role]
        bare = [place for place, noun in enumerate(first) if set(words_in(noun)) == nouns]
        if bare:
            first.insert(bare[0], name)
            by_words.remove(name)
    return [*first, *by_words, *(name for name in exact if is_last(name, role))]


def has_words(name: str, words: Collection[str]) -> bool:
    """Return whether a name has one of some words.

    name  the name of a column        words  words in lower case

    >>> has_words("trans_date", {"date"}), has_words("update", {"date"})
    (True, False)
    """
    return not set(words_in(name)).isdisjoint(words)


def is_last(name: str, role: str) -> bool:
    """Return whether a name is one of the last for its role: a session, or a place where items are.

    name  the name of a column        role  "user" or "item"

    >>> is_last("session_id", "user"), is_last("venue", "item"), is_last("user", "user")
    (True, True, False)
    """
    plain = plain_name(name)
    return any(plain.startswith(one) for one in LAST[role])


def _rank(name: str, role: str, columns: Sequence[str]) -> int | None:
    if "." in name and name.rpartition(".")[0] in columns:  # a field of an object is named by the caller
        return None
    return speaks_for(name, role)
