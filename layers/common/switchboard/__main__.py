"""The command line: `python -m switchboard admin …` for operators, `… <resource> …` for staff.

Exit codes: 0 done, 1 refused (unknown, taken, not allowed), 2 wrong arguments, 3 the database or
another service is not set up or cannot be reached.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import orjson
import psycopg
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from switchboard import admin, commands
from switchboard.kernel.errors import ConfigurationError, SwitchboardError, Unavailable
from switchboard.kernel.log import log

DONE, REFUSED, WRONG_ARGUMENTS, UNREACHABLE = range(4)

_PROGRAM = "python -m switchboard"
_FIRST_STEPS = f"""\
first steps:
  {_PROGRAM} admin tenant create --slug acme --name "Acme Travel"
  {_PROGRAM} admin waba create --tenant acme --waba-id 100000000000001
  {_PROGRAM} admin number create --tenant acme --waba-id 100000000000001 \\
      --phone-number-id 310000000000001 --phone-number +15550001111 \\
      --display-name Acme --access-token @token.txt
  {_PROGRAM} admin key create --tenant acme --name "order service" \\
      --scopes messages:send messages:read

The owner's connection is read from DATABASE_OWNER_URL or DATABASE_OWNER_SECRET_ARN, the key that
seals tokens from KMS_KEY_ID. A secret is given as @file, as - (standard input) or as it is.
"""
_WHAT = {
    "tenant": "businesses that share this installation",
    "user": "a tenant's staff",
    "app": "a tenant's own Meta app",
    "waba": "WhatsApp business accounts",
    "number": "business numbers",
    "key": "API keys",
    "job": "work of all tenants that waits, runs or has failed",
}
_STAFF = f"""\
examples:
  {_PROGRAM} conversations list --tenant acme --unread
  {_PROGRAM} contacts list --tenant acme --phone +525550001234 --json

Commands of staff work as the functions' role: its connection is read from DATABASE_URL or
DATABASE_SECRET_ARN. --env-file .local/env reads what is not set from the local run's values.
"""
#: Not printable, but parts of an emoji or of a word.
_JOINERS = "\u200c\u200d"
#: Runs a command with what was given, and returns its document.
Run = Callable[[dict[str, Any]], dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are one sentence on stderr."""
    options = _parser().parse_args(arguments)
    command: admin.Command | commands.Command = options.command
    try:
        if options.env_file is not None:
            _load(options.env_file)
        given = {
            field.alias or name: _secret(value) if _is_secret(field) else value
            for name, field in command.arguments.model_fields.items()
            if (value := getattr(options, name)) is not None
        }
        run = _prepared(command, given, options)
    except (SwitchboardError, OSError) as error:
        return _complain(error, WRONG_ARGUMENTS)
    try:
        # A command's output is its document, its errors are told below.
        with log.quiet():
            document = run(given)
    except (ConfigurationError, Unavailable) as error:
        return _complain(error, UNREACHABLE)
    except psycopg.Error as error:
        # What no use case expects: another database's tables, or a schema of long ago.
        return _complain(f"the database refuses: {_first_line(error)}", UNREACHABLE)
    except SwitchboardError as error:
        return _complain(error, REFUSED)
    _say(_as_json(document) if options.json else _as_text(_shown(command, document)))
    return DONE


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # `… | head` has seen enough; left so, Python complains again when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _prepared(
    command: admin.Command | commands.Command, given: dict[str, Any], options: argparse.Namespace
) -> Run:
    """Return what runs the command; raises SwitchboardError for wrong arguments."""
    if isinstance(command, admin.Command):
        operator = command
        admin.read_arguments(operator, given)

        def administer(given: dict[str, Any]) -> dict[str, Any]:
            tools = admin.owner_tools()
            try:
                return admin.run(operator.name, given, tools=tools)
            finally:
                tools.db.drop()

        return administer
    staff, read = command, commands.read_arguments(command, given)

    def work(_given: dict[str, Any]) -> dict[str, Any]:
        tools = commands.app_tools()
        try:
            return commands.run(staff, options.the_tenant, read, tools=tools)
        finally:
            tools.db.drop()

    return work


def _shown(command: admin.Command | commands.Command, document: dict[str, Any]) -> dict[str, Any]:
    """Return what of a document is shown as text: of a list, a table of some columns."""
    if not isinstance(command, commands.Command) or not command.columns:
        return document
    rows = [{name: row[name] for name in command.columns} for row in document["data"]]
    rest = document.get("next_cursor")
    return {"rows": rows} if rest is None else {"next_cursor": rest, "rows": rows}


@cache
def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        description="Operate Switchboard.",
        epilog=_STAFF,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = parser.add_subparsers(title="commands", metavar="WHAT", required=True)
    texts = argparse.RawDescriptionHelpFormatter
    administer = groups.add_parser(
        "admin",
        help="tenants, their staff, numbers and keys",
        description="Create, list, disable and stop what tenants own.",
        epilog=_FIRST_STEPS,
        formatter_class=texts,
    )
    resources = administer.add_subparsers(title="what", metavar="WHAT", required=True)
    for name, known in groupby(
        admin.COMMANDS.values(), key=lambda command: command.name.partition(" ")[0]
    ):
        listed = [(command.name.partition(" ")[2], command, _example(command)) for command in known]
        _add_verbs(resources, name, _WHAT[name], listed)
    for resource in sorted(commands.RESOURCES, key=lambda resource: resource.name):
        start = f"  {_PROGRAM} {resource.word}"
        verbs = [
            (one.verb, one, f"{start} {one.verb} --tenant acme {one.example}".rstrip())
            for one in resource.commands
        ]
        _add_verbs(groups, resource.word, resource.what, verbs)
    return parser


def _add_verbs(
    parent: Any,
    name: str,
    what: str,
    listed: Iterable[tuple[str, admin.Command | commands.Command, str]],
) -> None:
    """Add a resource with its verbs; each comes with its command and an example."""
    known = list(listed)
    texts = argparse.RawDescriptionHelpFormatter
    resource = parent.add_parser(
        name,
        help=what,
        description=f"{what[:1].upper()}{what[1:]}.",
        epilog="examples:\n" + "\n".join(example for _, _, example in known),
        formatter_class=texts,
    )
    verbs = resource.add_subparsers(title="what to do", metavar="VERB", required=True)
    for word, command, example in known:
        verb = verbs.add_parser(
            word,
            help=command.summary,
            description=command.summary,
            epilog=f"example:\n{example}",
            formatter_class=texts,
        )
        verb.set_defaults(command=command)
        if isinstance(command, commands.Command):
            verb.add_argument(
                "--tenant",
                dest="the_tenant",
                required=True,
                metavar="TENANT",
                help="the tenant's slug or id",
            )
        _add_options(verb, command.arguments)
        verb.add_argument("--json", action="store_true", help="print JSON")
        verb.add_argument(
            "--env-file",
            metavar="FILE",
            type=Path,
            help="read settings that are not set from KEY=VALUE lines",
        )


def _example(command: admin.Command) -> str:
    return f"  {_PROGRAM} admin {command.name} {command.example}".rstrip()


def _add_options(parser: argparse.ArgumentParser, arguments: type[BaseModel]) -> None:
    for name, field in arguments.model_fields.items():
        _add_option(parser, name, field)


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    word = field.alias or name
    how: dict[str, Any] = {
        "dest": name,
        "default": None,
        "required": field.is_required(),
        "help": field.description,
    }
    kinds = {field.annotation, *get_args(field.annotation)}
    if bool in kinds:
        how["action"] = argparse.BooleanOptionalAction
    elif any(getattr(kind, "__origin__", None) is list for kind in kinds):
        how["nargs"] = "+"
    if _is_secret(field):
        how["help"] = f"{field.description} (@file, - or as it is)"
    if "action" not in how:
        how["metavar"] = word.rpartition("_")[2].upper()
    parser.add_argument(f"--{word.replace('_', '-')}", **how)


def _is_secret(field: FieldInfo) -> bool:
    return "SecretStr" in repr(field.annotation)


def _secret(value: str) -> SecretStr:
    """Read a secret from where the command line says; a file's last line break is not part of it.

    Raises OSError where the file cannot be read.
    """
    if value == "-":
        return SecretStr(sys.stdin.read().rstrip("\r\n"))
    if value.startswith("@"):
        return SecretStr(Path(value[1:]).read_text(encoding="utf-8").rstrip("\r\n"))
    return SecretStr(value)


def _load(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is no text") from None
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            os.environ.setdefault(name.removeprefix("export ").strip(), value.strip("'\""))


def _complain(error: Exception | str, code: int) -> int:
    text = str(error)
    if isinstance(error, Unavailable) and error.__cause__ is not None:
        # The driver's first line says which server, and why not.
        text = f"{text}: {_first_line(error.__cause__)}"
    print(f"error: {text}", file=sys.stderr)
    existing = getattr(error, "extra", {}).get("existing")
    if existing:
        print(_as_text({name: str(value) for name, value in existing.items()}), file=sys.stderr)
    lines = getattr(error, "extra", {}).get("errors")
    if lines:
        print(_table(orjson.loads(orjson.dumps(lines))), file=sys.stderr)
    return code


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def _as_json(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _as_text(document: dict[str, Any]) -> str:
    """Return a document as `name  value` lines, its rows as tables."""
    if list(document) == ["rows"]:
        return _table(document["rows"])
    if list(document) == ["next_cursor", "rows"]:
        return f"{_table(document['rows'])}\n\nmore: --cursor {document['next_cursor']}"
    if {"key", "row"} <= document.keys():  # a new key
        return (
            f"{document['key']}\n\nThis is the only time it is shown: only its digest is kept.\n\n"
            + _as_text(document["row"])
        )
    if {"secret", "subscription"} <= document.keys():  # a subscription's new one
        return f"{document['secret']}\n\nThis is the only time it is shown.\n\n" + _as_text(
            document["subscription"]
        )
    parts = []
    plain = {k: v for k, v in document.items() if k == "scopes" or _is_plain(v)}
    if plain:
        width = max(map(len, plain))
        parts.append("\n".join(f"{k:<{width}}  {_cell(v)}" for k, v in plain.items()))
    for name, value in document.items():
        if name in plain:
            continue
        inner = _as_text(value) if isinstance(value, dict) else _table(value)
        parts.append(f"{name}\n{inner or '(none)'}")
    return "\n\n".join(parts)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and not isinstance(value[0], (dict, list))
    return not isinstance(value, dict)


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "(none)"
    lines = [list(rows[0])] + [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_cell, value))
    # Names and texts are strangers': what steers a terminal or breaks a table is written out.
    return "".join(
        letter if letter.isprintable() or letter in _JOINERS else ascii(letter)[1:-1]
        for letter in str(value)
    )


if __name__ == "__main__":
    sys.exit(main())
