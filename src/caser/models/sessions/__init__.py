"""Models that read a history and know no users: GRU4Rec, SASRec, eSASRec, NextItNet."""
