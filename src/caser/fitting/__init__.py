"""From a split to a recommender: choose, refit, judge."""
