"""The public face as a careful user types it. mypy reads this file in `make check`; nothing here runs."""

from __future__ import annotations

from typing import ClassVar, assert_type

import caser


def from_a_log_to_answers(path: str) -> None:
    """Every step has the type that its name promises."""
    log = caser.read_log(path)
    assert_type(log, caser.InteractionLog)
    split = caser.leave_one_out(log)
    assert_type(split, caser.Split)
    recommender = caser.fit(caser.Caser(L=5, T=3, d=50), split, caser.Training(epochs=3))
    assert_type(recommender, caser.Recommender)
    report = caser.evaluate(recommender, split)
    assert_type(report, caser.Report)
    answers = recommender.recommend(users=["ann"], k=3)
    assert_type(answers, caser.Recommendations)
    assert_type(answers[0], caser.Answer)
    assert_type(caser.explain(recommender, item="tea", user="ann"), caser.Explanation)
    assert_type(caser.load("run"), caser.Recommender)
    assert_type(caser.Caser().replace(L=3), caser.Caser)
    assert_type(caser.CountKNN(reach=5).replace(shrinkage=1.0), caser.CountKNN)
    assert_type(caser.SASRec(max_length=50, d=32).max_length, int)


class Newest(caser.CountingSettings):
    """Settings of a model of one's own."""

    name = "newest"
    half_life: int = 3


class Own(caser.NetworkSettings):
    """Settings of a network of one's own, trained in its own way."""

    name = "own"
    training: ClassVar[caser.Training] = caser.Training(epochs=5, learning_rate=0.01)
    width: int = 8


def settings_of_ones_own(newest: Newest) -> None:
    """They are typed like the library's."""
    assert_type(newest.replace(half_life=2).half_life, int)
    assert_type(Own.training.epochs, int)
