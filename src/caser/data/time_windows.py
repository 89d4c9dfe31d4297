"""Rolling windows of time: the same log, cut by one moment for all users, as it would have been cut at earlier moments.

One test part at the end of a log may be an unusual week. Windows show how much a result depends on when one looks.
"""

from __future__ import annotations

from caser.data.log import InteractionLog
from caser.data.shards import ShardedLog
from caser.data.split import Split, global_time
from caser.errors import DataError
from caser.system.kinds import must_be

DEFAULT_WINDOWS = 5
"""How many windows there are if nobody says another number."""

_JUDGED = 0.5
"""The share of all interactions, the latest, that the test parts of all windows have together."""


def time_windows(log: InteractionLog | ShardedLog, number: int = DEFAULT_WINDOWS) -> list[Split]:
    """Cut a log into rolling windows: splits by `global_time`, each with a later test part than the one before.

    log     a log with times
    number  how many windows, from 2 to 50

    The later half of all interactions is cut into `number` test parts of equal size, one after another, without
    overlap. The validation part of a window is as large, and comes right before its test part; all that is earlier
    trains. What is later than its test part is left out. An interaction at the moment of a cut belongs to the later
    part. The last window ends with the log: of 5 windows, it is the split `global-time`.

    Returns the splits, the earliest first. Their names hold their shares, so each has a fingerprint of its own. Raises
    DataError for another number, for a log without times, and for one that is too short: each window needs interactions
    in each part, and a user in validation and test who was there before.

    >>> from caser.data.synthetic import chain_world
    >>> log = chain_world(num_users=9, num_items=6, length=20, seed=0).log
    >>> [split.name for split in time_windows(log, 2)]
    ['global-time test=0.25 validation=0.25 end=0.75', 'global-time test=0.25 validation=0.25']
    """
    must_be("the number of windows", number, int, "a whole number", "Give a number, such as 5.", DataError)
    if not 2 <= number <= 50:
        raise DataError(f"the number of windows must be from 2 to 50; got {number}.")
    share = round(_JUDGED / number, 6)
    windows = []
    for later in reversed(range(number)):
        place = f"window {number - later} of {number}"
        try:
            split = global_time(log, test=share, validation=share, end=round(1 - later * share, 6))
        except DataError as error:
            raise DataError(f"{place} cannot be cut: {str(error).rstrip('.')}. Ask for fewer windows.") from None
        if not (len(split.validation) and len(split.test)):
            raise DataError(
                f"each window needs users to validate and to test who were there before its cuts; {place} has "
                f"{len(split.validation):,} and {len(split.test):,}. Ask for fewer windows."
            )
        windows.append(split)
    return windows
