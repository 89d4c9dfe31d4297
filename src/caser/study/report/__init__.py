"""The report of a study: one page that needs no network, a picture of each figure, and every number."""
