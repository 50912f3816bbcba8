"""The command line: `python -m switchboard admin …`.

Exit codes: 0 done, 1 refused (unknown, taken, not allowed), 2 wrong arguments, 3 the database or
another service is not set up or cannot be reached.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, get_args

import orjson
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from switchboard import admin
from switchboard.kernel.errors import ConfigurationError, SwitchboardError, Unavailable

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
_RESOURCES = {
    "tenant": "businesses that share this installation",
    "user": "a tenant's staff",
    "app": "a tenant's own Meta app",
    "waba": "WhatsApp business accounts",
    "number": "business numbers",
    "key": "API keys",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; errors are one sentence on stderr."""
    options = _parser().parse_args(arguments)
    command: admin.Command = options.command
    try:
        if options.env_file is not None:
            _load(options.env_file)
        given = {
            name: _secret(value) if _is_secret(field) else value
            for name, field in command.arguments.model_fields.items()
            if (value := getattr(options, name)) is not None
        }
        admin.read_arguments(command, given)
    except (SwitchboardError, OSError) as error:
        return _complain(error, WRONG_ARGUMENTS)
    tools = admin.owner_tools()
    try:
        document = admin.run(command.name, given, tools=tools)
    except (ConfigurationError, Unavailable) as error:
        return _complain(error, UNREACHABLE)
    except SwitchboardError as error:
        return _complain(error, REFUSED)
    finally:
        tools.db.drop()
    print(_as_json(document) if options.json else _as_text(document))
    return DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROGRAM, description="Operate Switchboard.")
    groups = parser.add_subparsers(title="commands", metavar="admin", required=True)
    texts = argparse.RawDescriptionHelpFormatter
    administer = groups.add_parser(
        "admin",
        help="tenants, their staff, numbers and keys",
        description="Create, list, disable and stop what tenants own.",
        epilog=_FIRST_STEPS,
        formatter_class=texts,
    )
    resources = administer.add_subparsers(title="what", metavar="WHAT", required=True)
    for name, commands in groupby(
        admin.COMMANDS.values(), key=lambda command: command.name.partition(" ")[0]
    ):
        known = list(commands)
        resource = resources.add_parser(
            name,
            help=_RESOURCES[name],
            description=f"{_RESOURCES[name]}.".capitalize(),
            epilog="examples:\n" + "\n".join(map(_example, known)),
            formatter_class=texts,
        )
        verbs = resource.add_subparsers(title="what to do", metavar="VERB", required=True)
        for command in known:
            verb = verbs.add_parser(
                command.name.partition(" ")[2],
                help=command.summary,
                description=command.summary,
                epilog=f"example:\n{_example(command)}",
                formatter_class=texts,
            )
            verb.set_defaults(command=command)
            for field_name, field in command.arguments.model_fields.items():
                _add_option(verb, field_name, field)
            verb.add_argument("--json", action="store_true", help="print JSON")
            verb.add_argument(
                "--env-file",
                metavar="FILE",
                type=Path,
                help="read settings that are not set from KEY=VALUE lines",
            )
    return parser


def _example(command: admin.Command) -> str:
    return f"  {_PROGRAM} admin {command.name} {command.example}".rstrip()


def _add_option(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    how: dict[str, Any] = {
        "dest": name,
        "default": None,
        "required": field.is_required(),
        "help": field.description,
    }
    kinds = {field.annotation, *get_args(field.annotation)}
    if bool in kinds:
        how["action"] = argparse.BooleanOptionalAction
    elif field.annotation is not None and getattr(field.annotation, "__origin__", None) is list:
        how["nargs"] = "+"
    if _is_secret(field):
        how["help"] = f"{field.description} (@file, - or as it is)"
    if "action" not in how:
        how["metavar"] = name.rpartition("_")[2].upper()
    parser.add_argument(f"--{name.replace('_', '-')}", **how)


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
    for line in path.read_text(encoding="utf-8").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            os.environ.setdefault(name.removeprefix("export ").strip(), value.strip("'\""))


def _complain(error: Exception, code: int) -> int:
    text = str(error)
    if error.__cause__ is not None and isinstance(error, Unavailable):
        # The driver's first line says which server, and why not.
        text = f"{text}: {str(error.__cause__).partition(chr(10))[0]}"
    print(f"error: {text}", file=sys.stderr)
    existing = getattr(error, "extra", {}).get("existing")
    if existing:
        print(_as_text({name: str(value) for name, value in existing.items()}), file=sys.stderr)
    return code


def _as_json(document: dict[str, Any]) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _as_text(document: dict[str, Any]) -> str:
    """Return a document as `name  value` lines, its rows as tables."""
    if list(document) == ["rows"]:
        return _table(document["rows"])
    if "key" in document:  # a new key
        return (
            f"{document['key']}\n\nThis is the only time it is shown: only its digest is kept.\n\n"
            + _as_text(document["row"])
        )
    parts = []
    plain = {k: v for k, v in document.items() if not isinstance(v, (list, dict)) or k == "scopes"}
    if plain:
        width = max(map(len, plain))
        parts.append("\n".join(f"{k:<{width}}  {_cell(v)}" for k, v in plain.items()))
    for name, value in document.items():
        if name in plain:
            continue
        parts.append(_as_text(value) if isinstance(value, dict) else f"{name}\n{_table(value)}")
    return "\n\n".join(parts)


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
        return " ".join(map(str, value))
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
