"""The options of `dynalab check` that say what a model is asked besides: bounds, totals, levels, which reads count."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Final, ParamSpec

import click

from dynalab_checkers.check import lacks
from dynalab_checkers.history import Scalar
from dynalab_checkers.isolation.levels import LATTICE
from dynalab_checkers.judges import READS, Question
from dynalab_checkers.sessions import ALL_GUARANTEES

Rest = ParamSpec("Rest")

# The field of a question and the option that fills it, where their names differ by more than a dash.
OPTIONS: Final = {
    "guarantees": "--guarantee",
    "real_time": "--no-real-time",
    "versions_max": "--versions-max",
    "lag_max_ns": "--lag-max",
    "accounts": "--account",
    **{name: f"--{name}" for name in ("initial", "reads", "total", "overdraft", "level")},
}


def nanoseconds(ctx: click.Context | None, param: click.Parameter | None, value: str | None) -> int | None:
    """Seconds as whole nanoseconds, without a detour through floats.

    >>> nanoseconds(None, None, "0.1")
    100000000
    """
    if value is None:
        return None
    try:
        exact = Decimal(value) * 1_000_000_000
        whole = int(exact)
    except (ArithmeticError, ValueError):
        raise click.BadParameter(f"{value!r} is no number of seconds", ctx, param) from None
    if whole < 0 or whole != exact:
        raise click.BadParameter(f"{value!r} is no whole number of nanoseconds from 0 on", ctx, param)
    return whole


def scalar(ctx: click.Context | None, param: click.Parameter | None, value: str | None) -> Scalar:
    """A JSON scalar; a text that is no JSON is taken for a string.

    >>> scalar(None, None, "0"), scalar(None, None, "true"), scalar(None, None, "new")
    (0, True, 'new')
    """
    if value is None:
        return None
    try:
        told: object = json.loads(value)
    except ValueError:
        return value
    if told is None or isinstance(told, (str, int, float)):
        return told
    raise click.BadParameter(f"{value!r} is no string, number or truth value", ctx, param)


def with_question(command: Callable[Rest, int]) -> Callable[..., int]:
    """A command whose `question` is made from these options."""

    @click.option("--initial", callback=scalar, metavar="JSON", help="What every key held before. [default: absent; 0]")
    @click.option(
        "--guarantee", "guarantees", multiple=True, type=click.Choice(ALL_GUARANTEES), help="sessions: only this."
    )
    @click.option(
        "--reads", multiple=True, type=click.Choice(READS), help="Which reads count; several times for several."
    )
    @click.option("--no-real-time", is_flag=True, help="sessions: several regions write, and clocks decide.")
    @click.option("--versions-max", type=click.IntRange(0), help="staleness: so many versions behind, at most.")
    @click.option("--lag-max", callback=nanoseconds, metavar="SECONDS", help="staleness: behind for so long, at most.")
    @click.option("--total", type=int, help="bank: what all accounts hold together.")
    @click.option("--account", "accounts", multiple=True, help="bank: one of them. [default: all keys of transactions]")
    @click.option("--overdraft", is_flag=True, help="bank: a balance may be below zero.")
    @click.option("--level", type=click.Choice(list(LATTICE)), help="Transactions. [default: strict-serializable]")
    @wraps(command)
    def asked(
        initial: Scalar,
        guarantees: tuple[str, ...],
        reads: tuple[str, ...],
        no_real_time: bool,
        versions_max: int | None,
        lag_max: int | None,
        total: int | None,
        accounts: tuple[str, ...],
        overdraft: bool,
        level: str | None,
        *positional: Rest.args,
        **rest: Rest.kwargs,
    ) -> int:
        question = Question(
            initial=initial,
            reads=reads,
            guarantees=guarantees,
            real_time=not no_real_time,
            versions_max=versions_max,
            lag_max_ns=lag_max,
            total=total,
            accounts=accounts,
            overdraft=overdraft,
            level=level or Question().level,
        )
        return command(*positional, question=question, **rest)  # type: ignore[arg-type]

    return asked


def refuse_vain(model: str, question: Question) -> None:
    """A usage error that names the options, if the question is not one for the model."""
    sentence = lacks(model, question)
    if sentence:
        named = " ".join(OPTIONS.get(word, word) for word in sentence.split(" "))
        raise click.UsageError(f"--model {named}")
