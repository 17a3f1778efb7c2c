"""What the `mockbroker profiles` commands print."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import click
import msgspec

from mockbroker.broker.answer_form import put_member
from mockbroker.broker.profiles import (
    ConfigError,
    own_profiles,
    problems_in,
    shipped_names,
    shipped_profile,
)
from mockbroker.cli.made_broker import find_profile
from mockbroker.cli.profile_tables import toml_of
from mockbroker.cli.profile_trial import Trial, flaws_of_errors, trials_of
from mockbroker.cli.profile_words import Fact, example_answer, facts_of
from mockbroker.cli.streams import echo
from mockbroker.model.escaping import printable, printable_lines
from mockbroker.model.messages import Response
from mockbroker.model.profile import Profile
from mockbroker.model.profile_parts import Source

__all__ = ["check_profiles", "list_profiles", "show_profile"]

_WIDTH, OK = 100, 200
_LONGEST_BODY = 1000
"""How many characters of an answer are printed."""


def list_profiles(config: Path | None, *, as_json: bool) -> None:
    """Print the profiles that ship and those of the project. Raises click.ClickException."""
    known = [cast("Profile", shipped_profile(name)) for name in shipped_names()]
    try:
        known += own_profiles(config).values()
    except ConfigError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        echo(json.dumps({"schema": 1, "profiles": [_row(each) for each in known]}, indent=2))
        return
    rows = [(each.name, _title(each), ", ".join(each.authentication_methods)) for each in known]
    names, titles = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, title, methods in rows:
        echo(printable(f"{name:<{names}}  {title:<{titles}}  {methods}"))


def _title(profile: Profile) -> str:
    """Return the title of a profile, or else what it extends, or the first page of its facts."""
    base = f"extends {profile.extends}" if profile.extends else ""
    return profile.title or base or next(iter(profile.source_names), "")


def _row(profile: Profile) -> dict[str, object]:
    """Return the line of a profile in the list as values for JSON."""
    return {
        "name": profile.name,
        "title": _title(profile),
        "client_authentication": list(profile.authentication_methods),
    }


def show_profile(name: str, config: Path | None, *, as_json: bool) -> None:
    """Print what a profile says and its sources. Raises click.ClickException if it is unknown."""
    profile = find_profile(name, config)
    if as_json:
        echo(json.dumps(_as_json(profile), indent=2))
        return
    echo(printable_lines("\n".join(_description(profile))))
    echo("As TOML, to copy under a name of your own:\n")
    echo(printable_lines(toml_of(profile, f"my-{profile.name}")))


def _as_json(profile: Profile) -> dict[str, object]:
    """Return a profile as values for JSON; docs/profiles.md describes them."""
    return {
        "schema": 1,
        **_row(profile),
        "extends": profile.extends,
        "fields": msgspec.to_builtins(asdict(cast("Any", profile))),
        "facts": [
            {
                "chapter": fact.chapter,
                "text": fact.text,
                "fields": list(fact.fields),
                "sources": [str(source) for source in _sources_of(profile, fact)],
            }
            for fact in facts_of(profile)
        ],
        "example_answer": json.loads(example_answer(profile)),
    }


def _sources_of(profile: Profile, fact: Fact) -> list[Source]:
    """Return the pages of a sentence: of one of its fields, or of a member or the whole of one."""
    return [
        source
        for source in profile.sources
        if any(_overlap(named, field) for named in source.fields for field in fact.fields)
    ]


def _overlap(one: str, other: str) -> bool:
    """Return whether two names such as ``answer`` and ``answer.paths`` have a part in common."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _description(profile: Profile) -> Iterator[str]:
    """Yield the lines that say what a profile means, and where its facts come from."""
    yield f"{profile.name}: {_title(profile)}" if _title(profile) else profile.name
    if profile.title and profile.extends:
        yield f"It extends the profile {profile.extends}."
    numbers = {source: number for number, source in enumerate(profile.sources, 1)}
    chapter = ""
    for fact in facts_of(profile):
        if fact.chapter != chapter:
            chapter = fact.chapter
            yield from ("", chapter)
        marks = "".join(f" [{numbers[source]}]" for source in _sources_of(profile, fact))
        yield from textwrap.wrap(
            f"{fact.text}{marks}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    yield from ("", "Sources") if numbers else ("", "Sources: none are named.")
    for source, number in numbers.items():
        yield f"  [{number}] {source}, checked {source.checked}"
        if source.note:
            yield f"      {source.note}"
    if profile.unconfirmed:
        yield from ("", "Not confirmed by a page, and left out")
        yield from (f"  {each}" for each in profile.unconfirmed)
    yield ""


def check_profiles(file: Path) -> bool:
    """Print what is wrong with the profiles of a file, or what they mean; return if all are right.

    A file without a profile is wrong, too.
    """
    try:
        right, problems = problems_in(file)
    except ConfigError as error:
        echo(f"Wrong: {printable(str(error))}")
        return False
    if not (right or problems):
        problems = (f"{file} describes no profile; begin one with [{_table(file)}NAME]",)
    for name, profile in right.items():
        flaws = [*flaws_of_errors(profile)]
        if not flaws:
            echo(printable_lines("\n".join(_description(profile))))
            flaws += _tried(profile)
        problems = (*problems, *(f"{file}: {_table(file)}{name}: {flaw}" for flaw in flaws))
    for problem in problems:
        echo(f"Wrong: {printable(problem)}")
    if not problems:
        echo(f"{file}: {', '.join(right)}: right.")
    return not problems


def _table(file: Path) -> str:
    """Return the keys before the name of a profile in a file."""
    return "tool.mockbroker.profiles." if file.name == "pyproject.toml" else "profiles."


def _tried(profile: Profile) -> Iterator[str]:
    """Try a profile and print the requests and answers; yield a sentence for each that failed."""
    for trial in trials_of(profile):
        answer = _shown(_without_token(profile, trial))
        lines = [f"Tried with {trial.method}:", f"  {trial.command}", f"  {answer}"]
        if trial.call is not None:
            lines.append(f"  A call to the API with that token: status {trial.call.status}")
        if trial.refusal is None:
            lines += ["  (Certificates were not checked: that needs TLS, as in serve --tls.)", ""]
        else:
            lines += [f"  The same by an unknown client: {_shown(trial.refusal)}", ""]
        echo(printable_lines("\n".join(lines)))
        if trial.call is None:
            yield (
                f"a client by {trial.method} finds no token at {_token_path(profile)} of the "
                f"response: {answer}"
            )
        elif trial.call.status != OK:
            yield f"the API does not accept the token of the response: {_shown(trial.call)}"


def _without_token(profile: Profile, trial: Trial) -> Response:
    """Return the response with a word for the token, if it has one."""
    if not trial.token:
        return trial.response
    members = json.loads(trial.response.body)
    # Only at its place: a short token may be a part of another value.
    put_member(members, _token_path(profile).split("."), "TOKEN")
    return replace(trial.response, body=json.dumps(members).encode())


def _token_path(profile: Profile) -> str:
    """Return where the access token is in a response."""
    return profile.answer.paths.get("access_token", "access_token")


def _shown(response: Response) -> str:
    """Return a response in one line."""
    body = " ".join(response.body.decode("utf-8", "replace").split())
    return f"status {response.status}, {body[:_LONGEST_BODY]}"
