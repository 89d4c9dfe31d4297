"""Facts of a log that defaults depend on: what a model's settings class is told before it trains."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LogFacts:
    """What the defaults of a model may depend on.

    num_users          users, or sessions, with interactions in the part that trains
    num_items          items of the log
    num_interactions   interactions of the part that trains
    targets_per_query  how many next items the protocol asks for at once, on average
    anonymous          whether the protocol judges only users that training never saw
    """

    num_users: int
    num_items: int
    num_interactions: int
    targets_per_query: float = 1.0
    anonymous: bool = False

    @property
    def mean_length(self) -> float:
        """The mean number of interactions of a user or session.

        >>> LogFacts(num_users=6_040, num_items=3_416, num_interactions=993_571).mean_length
        164.49...
        """
        return self.num_interactions / max(1, self.num_users)
