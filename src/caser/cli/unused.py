"""Options that have no effect beside the other options of a command line: each is refused with one sentence.

RULES lists them by command. The check runs before any work begins, and sees only what was typed: a default is never
refused.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import cyclopts
from cyclopts import ArgumentCollection

from caser.cli.flags import AUTO, flag_name
from caser.cli.model_flags import NETWORK_FLAGS
from caser.cli.study_options import QUICK_EPOCHS
from caser.errors import ConfigError
from caser.models import MODELS, model_class
from caser.models.settings import NetworkSettings
from caser.system.hints import command_line
from caser.system.problems import RENAMED

SPREADSHEET = re.compile(r"\.[ct]sv(\.gz)?$", re.IGNORECASE)
"""The end of the name of a table that a spreadsheet opens as text."""

AUTO_FLAGS = ("--jobs",)
"""The flags that `caser train` has only with --model auto, which trains several models at the same time."""

Typed: TypeAlias = Mapping[str, Sequence[str]]
"""The flags that were typed and the values of each; a switch has the value ''."""

Rule: TypeAlias = Callable[[Typed], str | None]
"""Returns a sentence if an option has no effect, else None."""


def needs(option: str, *others: str) -> Rule:
    """Make the rule that an option has an effect only together with another one, or with one of several.

    >>> needs("--burst", "--rate")({"--burst": ["5"]})
    '--burst has an effect only with --rate. Add --rate, or leave --burst out.'
    """

    def rule(typed: Typed) -> str | None:
        if option not in typed or any(other in typed for other in others):
            return None
        words = " or ".join(others)
        return f"{option} has an effect only with {words}. Add {words}, or leave {option} out."

    return rule


def excludes(other: str, option: str, reason: str) -> Rule:
    """Make the rule that an option has no effect together with another one, and say why.

    >>> excludes("--quick", "--seeds", "it trains one seed")({"--quick": [""], "--seeds": ["5"]})
    '--seeds has no effect with --quick: it trains one seed. Leave one of them out.'
    """

    def rule(typed: Typed) -> str | None:
        if option not in typed or other not in typed:
            return None
        return f"{option} has no effect with {other}: {reason}. Leave one of them out."

    return rule


def _fields_of_text_only(option: str) -> Rule:
    """Make the rule that an option is for text files, whose lines have fields."""

    def rule(typed: Typed) -> str | None:
        [file_format] = typed.get("--format", [""])[-1:]
        if option not in typed or file_format not in ("parquet", "jsonl"):
            return None
        return f"{option} has no effect with --format {file_format}: it is for text files. Leave one of them out."

    return rule


def _spreadsheets_only(file_flag: str) -> Rule:
    """Make the rule that --csv-safe is for files that spreadsheets open as text."""

    def rule(typed: Typed) -> str | None:
        [file] = typed.get(file_flag, [""])[-1:]
        if "--csv-safe" not in typed or not file or SPREADSHEET.search(file):
            return None
        return f"--csv-safe has an effect only on a .csv or .tsv file; {file_flag} is {file}. Leave --csv-safe out."

    return rule


def _more_epochs_than_quick(typed: Typed) -> str | None:
    """--quick already limits the epochs to a smaller number."""
    [epochs] = typed.get("--epochs", ["0"])[-1:]
    if "--quick" not in typed or not epochs.isdecimal() or int(epochs) <= QUICK_EPOCHS:
        return None
    return f"--epochs {epochs} has no effect with --quick, which trains at most {QUICK_EPOCHS}. Leave one of them out."


def _networks_only(option: str, flag_of_models: str) -> Rule:
    """Make the rule that an option is for networks. `flag_of_models` names the models of the command."""

    def rule(typed: Typed) -> str | None:
        models = typed.get(flag_of_models, [])
        if option not in typed or not models or any(_trains(name) for name in models):
            return None
        return f"{option} has no effect on models that are fitted in one pass: {', '.join(models)}. Leave {option} out."

    return rule


def _swept_setting(typed: Typed) -> str | None:
    """The values of --over replace the value of the setting itself."""
    name = typed.get("--over", [""])[-1].partition("=")[0].strip().replace("_", "-")
    for option in (f"--{name}", f"--no-{name}"):
        if option in typed:
            return f"{option} has no effect with --over {name}, which replaces it. Leave {option} out."
    return None


def _store_without_trials(typed: Typed) -> str | None:
    """Only trials are kept in the store; --model auto has a budget by default."""
    if "--store" not in typed or "--budget" in typed or typed.get("--model", [""])[-1] == AUTO:
        return None
    return "--store has an effect only with --budget, whose trials it keeps. Add --budget, or leave --store out."


def _trains(name: str) -> bool:
    """Whether a model is a network; a name that is unknown is left to other checks."""
    try:
        return issubclass(model_class(name), NetworkSettings)
    except ConfigError:
        return True


_LOG = (
    needs("--rating", "--min-rating"),
    needs("--event-type", "--event-types", "--target-events", "--negative-events"),
    _fields_of_text_only("--separator"),
    _fields_of_text_only("--header"),
    _fields_of_text_only("--no-header"),
)
_QUICK = (excludes("--quick", "--seeds", "it trains one seed"), _more_epochs_than_quick)
_NO_CHOICE = excludes("--no-choose", "--patience", "no epoch is validated")

RULES: Mapping[str, Sequence[Rule]] = {
    "data describe": _LOG,
    "data prepare": (*_LOG, needs("--sql", "--connection"), needs("--connection", "--sql")),
    "train": (
        *_LOG,
        _NO_CHOICE,
        excludes("--no-choose", "--budget", "tuning chooses on validation"),
        _store_without_trials,
        needs("--engine", "--workers"),
        needs("--max-restarts", "--workers"),
    ),
    "data events": (_spreadsheets_only("--out"),),
    "evaluate": (needs("--trec-depth", "--trec"), needs("--csv-safe", "--per-user"), _spreadsheets_only("--per-user")),
    "compare": (
        *_LOG,
        *_QUICK,
        excludes("--sessions", "--protocol", "sessions cut by a pause are a protocol of their own"),
        excludes("--windows", "--table", "each window has a table of its own, in its report"),
        *(_networks_only(option, "--models") for option in ("--epochs", "--seeds", "--quick")),
    ),
    "ablate": (*_LOG, *_QUICK, _NO_CHOICE),
    "sweep": (
        *_LOG,
        *_QUICK,
        _swept_setting,
        *(_networks_only(option, "--model") for option in ("--seeds", "--quick")),
    ),
    "audit": (*_LOG, excludes("--no-neural", "--model", "no neural model is trained")),
    "recommend": (
        needs("--memory-mb", "--all"),
        needs("--engine", "--all"),
        needs("--csv-safe", "--out"),
        needs("--out-table", "--connection"),
        needs("--connection", "--out-table"),
        needs("--out-table", "--all"),
        needs("--replace", "--out-table"),
        excludes("--out-table", "--out", "the answers go into the table"),
        excludes("--out-table", "--engine", "one transaction of this process writes a table"),
        _spreadsheets_only("--out"),
        *(
            excludes("--all", option, "every user of the log is answered, from the user's own history")
            for option in ("--user", "--item")
        ),
    ),
    "replay": (
        needs("--users", "--against"),
        needs("--seed", "--against"),
        needs("--arms", "--log"),
        needs("--metric", "--arms"),
        needs("--margin", "--arms"),
    ),
    "serve": (
        needs("--burst", "--rate"),
        needs("--share", "--candidate"),
        needs("--salt", "--candidate"),
        excludes("--candidate", "--onnx", "a file answers for one run only"),
    ),
}
"""The rules of each command. A command without a row has no option that another one makes void."""


def typed_flags(arguments: ArgumentCollection) -> Typed:
    """Return the flags that were typed, and the values of each.

    arguments  the parameters of a command with the words that were typed for each
    """
    typed: dict[str, list[str]] = {}
    for argument in arguments:
        for token in argument.tokens:
            flag = token.keyword if token.keyword in argument.negatives else argument.name
            typed.setdefault(flag or argument.name, []).append(token.value)
    return typed


def refuse_unused(_: cyclopts.App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Raise ConfigError if an option was typed that has no effect. cyclopts calls this after it has read the words.

    commands   the words that name the command, such as ("data", "describe")
    arguments  the parameters of the command with the words that were typed for each
    """
    typed = typed_flags(arguments)
    for rule in RULES.get(" ".join(commands), ()):
        if sentence := rule(typed):
            raise ConfigError(sentence)


def explain_unknown_option(command: str, option: str, model: str, flags: Sequence[str]) -> str:
    """Return a sentence for an option that a command does not have with this model.

    command  the command's name      option  the flag that was typed      model  the value of --model
    flags    the flags that the command has

    >>> explain_unknown_option("train", "--epochs", "markov", [])
    '--epochs has no effect on markov, which is fitted in one pass and has no training. Leave --epochs out.'
    >>> explain_unknown_option("evaluate", "--jso", "caser", ["--log", "--json"])
    'Unknown option: --jso. Did you mean --json?'
    """
    flag = option.partition("=")[0].partition(".")[0]
    if command in ("train", "sweep") and (sentence := _about_other_models(command, flag, model)):
        return sentence
    renamed = f"--{flag_name(RENAMED.get(flag.removeprefix('--').replace('-', '_'), ''))}"
    if renamed in flags:
        return f"Unknown option: {flag}. It is now {renamed}."
    # The dashes are left out: they would make short flags look similar.
    near = difflib.get_close_matches(flag.lstrip("-"), [name.lstrip("-") for name in flags], n=1, cutoff=0.6)
    hint = f"Did you mean --{near[0]}?" if near else f"Type: {command_line(*command.split(), '--help')}"
    return f"Unknown option: {flag}. {hint}"


def _about_other_models(command: str, flag: str, model: str) -> str | None:
    """Return a sentence for a flag that the command has with another model, and None for one of no model."""
    setting = flag.removeprefix("--").removeprefix("no-")
    models_with_it = [name for name, one in MODELS.usable().items() if setting in map(flag_name, one.model_fields)]
    if model == AUTO and (flag in NETWORK_FLAGS or models_with_it):
        return f"{flag} has no effect with --model auto, which trains each model in its own way. Leave {flag} out."
    if model != AUTO and command == "train" and flag in AUTO_FLAGS:
        return f"{flag} has an effect only with --model auto, which tries every model; got {model}. Leave {flag} out."
    if flag == "--preset":
        having = [name for name, one in MODELS.usable().items() if getattr(one, "presets", None)]
        return f"--preset has no effect on {model}, which has no published settings here; {_has_it(having)}."
    if flag in NETWORK_FLAGS and not _trains(model):
        return f"{flag} has no effect on {model}, which is fitted in one pass and has no training. Leave {flag} out."
    if not models_with_it:
        return None
    known = ", ".join(f"--{flag_name(name)}" for name in model_class(model).model_fields)
    settings = f"its own settings are {known}" if known else "it has no settings of its own"
    return f"Unknown option: {flag}. The model {model} has no such setting ({settings}); {_has_it(models_with_it)}."


def _has_it(models: Sequence[str]) -> str:
    return f"{', '.join(models)} {'has' if len(models) == 1 else 'have'} it"
