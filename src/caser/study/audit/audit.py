"""The audit of a log: does order matter in it, and what else must be known before a number on it can be trusted?

Collects the findings of the other modules of this folder, and keeps finished parts. Models are trained on `fit` and
judged on `validation`: the test part stays closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import caser
from caser.data.describe import Facts, describe
from caser.data.log import InteractionLog
from caser.data.split import Split
from caser.errors import ConfigError
from caser.evaluation import protocols
from caser.evaluation.fingerprint import fingerprint
from caser.models import model_settings
from caser.models.settings import NetworkSettings
from caser.study.audit.activity import bots, cold, concentration
from caser.study.audit.clock import clock
from caser.study.audit.findings import Fact, Finding
from caser.study.audit.finished_parts import FinishedParts
from caser.study.audit.leakage import leakage
from caser.study.audit.order import MOST_QUERIES, SHUFFLES, Effects, Say, order_effects
from caser.study.audit.order_findings import blocks_finding, order_finding
from caser.study.audit.repeats import repeats
from caser.study.audit.rules import rules_finding
from caser.study.audit.ties import reordered, ties
from caser.study.audit.verdict import verdict
from caser.study.study import facts_of_log

FEW_TIES = 0.05
"""With a larger share of tied rows, the worth of order is measured once more with the ties in random order."""
DEFAULT_MODEL = "caser"
"""The network that an audit trains if the user names no other."""
PARTS = "parts"
"""The folder of finished parts, in the folder of the audit."""


@dataclass(frozen=True)
class Audit:
    """The results of an audit of a log under one protocol.

    log          the facts of the log: its name, sizes and digest
    protocol     the name of the protocol
    fingerprint  names the validation part and the rules it is judged by
    verdict      one sentence on whether order matters
    findings     all questions and answers
    notes        sentences on how models were trained and judged
    date         of the audit, as YYYY-MM-DD
    command      the command line that asked for the audit; None if Python did
    """

    log: dict[str, Fact]
    protocol: str
    fingerprint: str
    verdict: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    date: str
    command: str | None = None

    def __repr__(self) -> str:
        return f"Audit({self.log['name']}, {self.protocol}, {self.verdict})"

    @property
    def advice(self) -> list[str]:
        """The advice of all findings; that of warnings comes first."""
        ordered = sorted(self.findings, key=lambda finding: finding.severity != "warning")
        return [sentence for finding in ordered for sentence in finding.advice]

    def to_dict(self) -> dict[str, Any]:
        """Return the audit as JSON values: a report is drawn from them."""
        return {
            "kind": "audit",
            "title": f"Audit of {self.log['name']}",
            "command": self.command,
            "date": self.date,
            "version": caser.__version__,
            "log": self.log,
            "protocol": self.protocol,
            "fingerprint": self.fingerprint,
            "verdict": self.verdict,
            "advice": self.advice,
            "notes": list(self.notes),
            "findings": [finding.to_dict() for finding in self.findings],
        }


def audit(
    log: InteractionLog,
    protocol: str = protocols.DEFAULT_PROTOCOL,
    *,
    model: str | None = None,
    neural: bool = True,
    block: int = 5,
    seed: int = 0,
    folder: str | Path | None = None,
    tell: Say | None = None,
    command: str | None = None,
) -> Audit:
    """Audit a log: does order matter in it, and what else must be known before a number on it can be trusted?

    log       what to audit
    protocol  the name of the protocol that splits and judges
    model     the name of the network to train beside the counting models; caser by default
    neural    whether to train a network. Without one the audit takes seconds, but no model in it reads the order of
              several items, so it cannot find that order does not matter; and no model may be named
    block     how many neighbouring items are shuffled to measure what their order is worth
    seed      of training, shuffles and other random draws
    folder    where finished parts are kept, so that an audit that was killed continues; None keeps nothing
    tell      called with a sentence before and during long work
    command   the command line to show in the report

    Models are trained on `fit` and judged on `validation`; the test part stays closed.

    Raises ConfigError for an unknown protocol, for a model that is not a network or that is named although none is
    trained, or for a block below 2. Raises
    DataError for a log that the protocol cannot split, NumericalError if the training of the network diverges.

    >>> from caser.data.synthetic import chain_world
    >>> audited = audit(chain_world(num_users=100, num_items=8, length=12).log, neural=False)
    >>> audited.verdict.split(":")[0], len(audited.findings)
    ('Order matters; recency matters too', 10)
    """
    # Check what was asked.
    if model is not None and not neural:
        raise ConfigError(
            f"model has no effect with neural=False, because no neural model is trained; got {model!r}. Leave one of "
            "them out."
        )
    network = _network(DEFAULT_MODEL if model is None else model, protocol) if neural else None
    if block < 2:
        raise ConfigError(f"block must be at least 2 items, or nothing is shuffled; got {block}.")
    split = protocols.apply(protocol, log)
    if len(split.validation) == 0:
        raise ConfigError("an audit needs a validation part with at least one query; got none. Use a longer log.")
    # Train and judge models on true and on shuffled histories.
    say: Say = tell or (lambda _: None)
    parts = FinishedParts(Path(folder) / PARTS if folder else None)
    effects = order_effects(split, network, block, seed, parts, say)
    facts = describe(log)
    is_tied = (facts["share_of_rows_tied"] or 0) > FEW_TIES
    without = _effects_without_ties(log, protocol, block, seed, parts, say) if is_tied else None
    # Put the findings together.
    rules = protocols.resolve(protocol, split, "validation")
    return Audit(
        log=facts_of_log(log),
        protocol=protocol,
        fingerprint=fingerprint(split, rules, "validation"),
        verdict=verdict(effects, without),
        findings=_findings(log, split, facts, effects, without, seed, say),
        notes=(*_notes(split, seed), *rules.notes),
        date=datetime.now(UTC).date().isoformat(),
        command=command,
    )


def _effects_without_ties(
    log: InteractionLog, protocol: str, block: int, seed: int, parts: FinishedParts, say: Say
) -> Effects:
    """The effects on counting models when events at equal times are in random order."""
    say("once more, with events at equal times in random order")
    split = protocols.apply(protocol, reordered(log, seed, 0))
    return order_effects(split, None, block, seed, parts, say)


def _findings(
    log: InteractionLog,
    split: Split,
    facts: Facts,
    effects: Effects,
    without: Effects | None,
    seed: int,
    say: Say,
) -> tuple[Finding, ...]:
    """All findings, in the order of the report. A protocol may filter the log; `log` is the whole one."""
    protocol = split.name
    return (
        order_finding(effects, without),
        blocks_finding(effects),
        ties(log, protocol, facts, seed, say),
        rules_finding(log, facts, seed),
        leakage(log, protocol),
        repeats(split, facts),
        clock(log, facts),
        bots(log),
        cold(log, split),
        concentration(log, facts),
    )


def _network(name: str, protocol: str) -> NetworkSettings:
    """The settings of a network, without user vectors if the protocol judges users that training never saw."""
    settings = model_settings(name)
    if not isinstance(settings, NetworkSettings):
        raise ConfigError(
            f"the model of an audit must be a network, because the counting models are always there; got {name}. Name "
            "another, or train no network: neural=False (--no-neural)."
        )
    if protocols.protocol_named(protocol).anonymous:
        without = settings.without_user_vectors()
        if without is None:
            raise ConfigError(
                f"{protocol} judges users that training never saw; {name} needs user vectors. Name another."
            )
        return without
    return settings


def _notes(split: Split, seed: int) -> list[str]:
    return [
        f"Models are trained on the fit part, and judged on {min(len(split.validation), MOST_QUERIES):,} of "
        f"{len(split.validation):,} validation queries: the test part stays closed.",
        f"Values are means over {SHUFFLES} shuffles, seed {seed}; a network is trained once for each way to shuffle.",
    ]
