"""From a split to a fitted recommender: choose the epochs, refit, evaluate."""
