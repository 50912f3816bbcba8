"""What no type checker sees: import rules, SQL against the schema, kinds found by folder, the docs.

The registries, the queries and the jobs enqueued by name trade a compiler's eye for one file per
addition; these tests are what makes the trade fair.
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import psycopg
import pytest
import yaml
from importlinter.cli import lint_imports
from pydantic import BaseModel

from functions.migrate.app import Deployment
from local.postgres import PostgresServer
from switchboard.automation.actions._kind import ActionKind
from switchboard.automation.triggers._kind import TriggerKind
from switchboard.intake.effects import EFFECTS, Effect
from switchboard.jobs._kind import JOB_KINDS, JobKind
from switchboard.kernel.db import queries
from switchboard.kernel.registry import Registry
from switchboard.outbox import effects as outgoing
from switchboard.policy.gates._gate import Gate
from switchboard.whatsapp.webhook import Malformed, parse
from switchboard.whatsapp.webhook.fields import FIELDS, Field
from tests.databases import ClonedDatabase, cloned

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "layers" / "common" / "switchboard"
STORE = PACKAGE / "store"
FUNCTIONS = ROOT / "functions"
TESTS = ROOT / "tests"

#: Statements of operators, who work as the owner of the tables.
OWNERS_SQL = {"tenants", "all_jobs"}
#: Those among them that look across tenants, for which the owner becomes door.
DOORS_SQL = {
    ("tenants", "find_tenants"),
    ("tenants", "find_owner"),
    ("all_jobs", "find"),
    ("all_jobs", "measure"),
}


def sources(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(folder.rglob("*.py"))


# --- imports ---


def test_imports_run_down_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(cache_dir=str(ROOT / ".cache" / "import-linter"), no_logo=True) == 0


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("switchboard/kernel/log.py", "from switchboard import tools", "run down only"),
        ("switchboard/store/tenants.py", "from switchboard.whatsapp import client", "run down"),
        ("switchboard/whatsapp/client.py", "from switchboard.store import jobs", "run down"),
        ("switchboard/loose_end.py", "", "run down only"),
        ("functions/webhook/app.py", "from switchboard.store import events", "only translate"),
        ("functions/send_message/app.py", "import psycopg", "only translate"),
        ("switchboard/worker.py", "import functions.webhook", "knows nothing of its callers"),
        (
            "switchboard/chatbot/nodes/say.py",
            "from switchboard.store import jobs",
            "return effects as data",
        ),
    ],
)
def test_an_import_upward_is_refused(tmp_path: Path, module: str, line: str, contract: str) -> None:
    """Each contract can fail: a wrong import in a copy of the code breaks it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, tmp_path / "switchboard", ignore=ignored)
    shutil.copytree(FUNCTIONS, tmp_path / "functions", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    wrong = tmp_path / module
    for folder in reversed(wrong.relative_to(tmp_path).parents):
        package = tmp_path / folder / "__init__.py"
        if folder.parts and folder.parts[0] == "switchboard" and not package.exists():
            package.parent.mkdir(exist_ok=True)
            package.touch()
    wrong.write_text((wrong.read_text() if wrong.exists() else "") + f"\n{line}\n")
    run = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "COLUMNS": "200", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    assert contract in run.stdout


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, relative ones with their dots."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found.update({module} | {f"{module}.{alias.name}" for alias in node.names})
    return found


def test_a_handler_imports_no_neighbour() -> None:
    """Lambda sees one folder and calls it `app`: a sibling's name means nothing there."""
    files = list(FUNCTIONS.rglob("*.py"))
    assert len(files) >= 5
    for path in files:
        siblings = {other.stem for other in path.parent.glob("*.py")}
        wrong = {
            name
            for name in imported(path)
            if name.startswith(("functions", ".")) or name.partition(".")[0] in siblings
        }
        assert not wrong, f"{path}: {wrong}"


def test_the_package_needs_no_development_dependency() -> None:
    """Only what layers/common/requirements.in names is in the layer."""
    names = {path.name for path in ROOT.iterdir() if path.is_dir()} & {"local", "tests"}
    assert names == {"local", "tests"}
    for path in sources(PACKAGE, FUNCTIONS):
        wrong = {name for name in imported(path) if name.partition(".")[0] in names}
        assert not wrong, f"{path}: {wrong}"


# --- SQL ---


def statements() -> list[Any]:
    return [
        pytest.param(path.stem, name, text, id=f"{path.stem}.{name}")
        for path in sorted((STORE / "sql").glob("*.sql"))
        for name, text in queries("switchboard.store", path.stem).items()
    ]


def parameters(text: str) -> dict[str, None]:
    return dict.fromkeys(re.findall(r"%\((\w+)\)s", text))


@pytest.fixture(scope="module")
def planner(template: str, postgres: PostgresServer) -> Iterator[ClonedDatabase]:
    """One database for the whole module: EXPLAIN writes nothing."""
    with cloned(postgres, template) as database:
        yield database


@pytest.mark.parametrize(("file", "name", "text"), statements())
def test_every_statement_plans_against_the_schema(
    planner: ClonedDatabase, file: str, name: str, text: str
) -> None:
    """As the role that runs it, with NULL for every parameter: names, types, rights are right."""
    url = planner.owner_url if file in OWNERS_SQL else planner.app_url
    with psycopg.connect(url, autocommit=True) as link:
        if (file, name) in DOORS_SQL:
            link.execute("set role door")
        plan = link.execute(f"explain {text}", parameters(text)).fetchall()
    assert plan


@pytest.mark.parametrize(
    "wrong",
    [
        "select nothing_of_the_kind from messaging.contacts",
        "select %(x)s + %(y)s",  # types that nothing tells
        "insert into messaging.tenants (slug, name) values (%(slug)s, %(name)s)",  # app only reads
        "select * from messaging.whatsapp_messages_default",
    ],
)
def test_a_wrong_statement_does_not_plan(planner: ClonedDatabase, wrong: str) -> None:
    with (
        psycopg.connect(planner.app_url, autocommit=True) as link,
        pytest.raises(psycopg.ProgrammingError),
    ):
        link.execute(f"explain {wrong}", parameters(wrong))


def test_every_statement_has_its_module_and_its_use() -> None:
    for path in sorted((STORE / "sql").glob("*.sql")):
        module = STORE / f"{path.stem}.py"
        assert module.exists(), f"{path.name} has no module beside it"
        used = set(re.findall(r"\[\"(\w+)\"\]", module.read_text()))
        used |= set(re.findall(r"\"(\w+)\"", module.read_text()))
        unused = queries("switchboard.store", path.stem).keys() - used
        assert not unused, f"{path.name}: {unused} are used by nothing"


def test_sql_stands_in_the_store_alone() -> None:
    """No other module speaks to tables, so that every statement is planned above."""
    allowed = {PACKAGE / "kernel" / name for name in ("db.py", "migrations.py")}
    for path in sources(PACKAGE, FUNCTIONS):
        if path.is_relative_to(STORE) or path in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not re.search(r"\b(from|into|update)\s+messaging\.", node.value), path


# --- kinds ---


def modules_of(package: str) -> list[str]:
    folder = PACKAGE / package
    return sorted(path.stem for path in folder.glob("*.py") if not path.name.startswith("_"))


#: Folders of kinds: the folder, what each module's KIND is, where its test may stand.
FAMILIES: list[tuple[str, type[Any]]] = [
    ("jobs", JobKind),
    ("automation/triggers", TriggerKind),
    ("automation/actions", ActionKind),
    ("policy/gates", Gate),
    ("intake/effects", Effect),
    ("outbox/effects", outgoing.Effect),
    ("whatsapp/webhook/fields", Field),
]
KINDS = [
    pytest.param(folder, kind, module, id=f"{folder}/{module}")
    for folder, kind in FAMILIES
    for module in modules_of(folder)
]


@pytest.mark.parametrize(("folder", "kind", "module"), KINDS)
def test_every_kind_is_named_like_its_file_and_has_a_test(
    folder: str, kind: type[Any], module: str
) -> None:
    package = f"switchboard.{folder.replace('/', '.')}"
    registry: Registry[Any] = Registry(package, kind)
    assert registry[module].name == module
    named = list(TESTS.rglob(f"test_*{module}*.py"))
    if folder == "whatsapp/webhook/fields":
        # A field's case stands in the table of test_whatsapp_webhook.py, beside its payload.
        named = list(TESTS.glob(f"payloads/inbound/{module}*.json"))
    assert named, f"{folder}/{module}.py has no test"


def test_the_folder_is_the_list() -> None:
    for folder, kind in FAMILIES:
        registry: Registry[Any] = Registry(f"switchboard.{folder.replace('/', '.')}", kind)
        assert registry.names() == modules_of(folder)


def test_every_effect_and_event_has_its_function(planner: ClonedDatabase) -> None:
    wanted = {f"effect_{effect.name}" for effect in EFFECTS}
    wanted |= {f"event_{event}" for field in FIELDS for event in field.events}
    wanted |= {f"outgoing_effect_{effect.name}" for effect in outgoing.EFFECTS}
    with psycopg.connect(planner.superuser_url) as link:
        rows = link.execute(
            "select proname::text from pg_proc where pronamespace = 'messaging'::regnamespace"
            " and proname ~ '^(effect|event|outgoing_effect)_'"
        )
        assert {name for (name,) in rows} == wanted


#: What a job's arguments may be made of: ids, times, counts; never text or numbers of people.
_PLAIN = (UUID, int, bool, float, datetime, type(None))


def is_plain(annotation: Any) -> bool:
    if annotation in _PLAIN or annotation is Ellipsis:
        return True
    origin = get_origin(annotation)
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return all(is_plain(field.annotation) for field in annotation.model_fields.values())
    return origin is not None and all(is_plain(part) for part in get_args(annotation))


def test_arguments_of_jobs_hold_ids_only() -> None:
    for kind in JOB_KINDS:
        for name, field in kind.args.model_fields.items():
            assert is_plain(field.annotation), f"{kind.name}: {name} may hold text"
    assert not is_plain(str)
    assert not is_plain(dict[str, UUID])


# Names of jobs in calls: enqueue(…, job_type="x"), NewJob("x", …), also by a module's constant.
def enqueued(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and isinstance(node.value.value, str)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        given = [word.value for word in node.keywords if word.arg == "job_type"]
        if called == "NewJob":
            given += node.args[:1]
        for value in given:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
            elif isinstance(value, ast.Name) and value.id in constants:
                yield constants[value.id]


def test_every_job_enqueued_by_name_exists() -> None:
    named = {name: path for path in sources(PACKAGE, FUNCTIONS) for name in enqueued(path)}
    for path in sorted((ROOT / "sql").glob("*.sql")):
        for insert in re.findall(
            r"insert into messaging\.scheduled_jobs(.*?);", path.read_text(), re.DOTALL
        ):
            literal = re.search(r"(?:select|values)[^']*'(\w+)'", insert)
            if literal:
                named[literal[1]] = path
    assert "react_to_message" in named
    unknown = {name: path for name, path in named.items() if name not in JOB_KINDS.names()}
    assert not unknown


# --- payloads ---


@pytest.mark.parametrize(
    "path", sorted((TESTS / "payloads" / "inbound").glob("*.json")), ids=lambda path: path.stem
)
def test_every_inbound_payload_parses(path: Path) -> None:
    """Malformed only where the name says odd; test_whatsapp_webhook tells what into."""
    items = parse(path.read_bytes())
    assert items
    if "odd" not in path.stem.split("_"):
        assert not [item for item in items if isinstance(item, Malformed)]


def test_every_payload_is_expected_by_a_test() -> None:
    named = {
        word
        for path in sources(TESTS)
        if path != Path(__file__)
        for word in re.findall(r"\w+", path.read_text())
    }
    files = sorted((TESTS / "payloads").rglob("*.json"))
    assert len(files) > 50
    for path in files:
        json.loads(path.read_bytes())
        assert path.stem in named, f"no test names {path.stem}"


# --- docs ---


def table_rows(text: str) -> list[list[str]]:
    """Return the cells of every table row of a Markdown text, without heads and rules."""
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return [
        row
        for index, row in enumerate(rows)
        if not set("".join(row)) <= set("- :")
        and not (index + 1 < len(rows) and set("".join(rows[index + 1])) <= set("- :"))
    ]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def section(text: str, heading: str) -> str:
    body = text.split(f"\n{heading}\n", 1)[1]
    level = heading.split(" ", 1)[0]
    return re.split(rf"\n#{{1,{len(level)}}} ", body)[0]


def test_every_setting_has_its_row_and_its_default() -> None:
    text = section((ROOT / "docs" / "configuration.md").read_text(), "## Settings")
    documented = {words(row[0])[0]: (words(row[1]) or [""])[0] for row in table_rows(text)}
    expected = {}
    for name, field in Deployment.model_fields.items():
        default = field.default
        expected[name.upper()] = "" if default in (None, frozenset()) else str(default)
    assert documented == expected


def test_the_template_sets_nothing_that_nobody_reads() -> None:
    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as what they wrap."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: str(suffix))
    template = yaml.load((ROOT / "template.yaml").read_text(), Loader)
    blocks = [template["Globals"]["Function"]] + [
        resource["Properties"]
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
    ]
    names = {
        name
        for block in blocks
        for name in block.get("Environment", {}).get("Variables", {})
        if not name.startswith(("POWERTOOLS_", "AWS_", "PARAMETERS_SECRETS_EXTENSION_"))
    }
    assert "DATABASE_SECRET_ARN" in names
    assert names <= {name.upper() for name in Deployment.model_fields}


def test_every_variable_of_the_local_run_has_its_row() -> None:
    text = section((ROOT / "docs" / "configuration.md").read_text(), "## The local run")
    documented = {words(row[0])[0] for row in table_rows(text)}
    source = (ROOT / "local" / "settings.py").read_text()
    read = set(re.findall(r"environment(?:\.get\(|, )\"([A-Z_]+)\"", source))
    assert documented == read


def documented_tables() -> dict[str, set[str]]:
    """Return the tables of part 1 of the data model, each with the columns that it names."""
    text = (ROOT / "docs" / "data-model.md").read_text()
    part = section(text, "# Part 1: the tables")
    found = {}
    for chunk in part.split("\n### ")[1:]:
        title = words(chunk.partition("\n")[0])[0]
        found[title] = {name for row in table_rows(chunk) for name in words(row[0])}
    return found


def test_every_table_and_column_is_documented_and_exists(planner: ClonedDatabase) -> None:
    with psycopg.connect(planner.superuser_url) as link:
        rows = link.execute(
            """
            select c.relname, array_agg(a.attname::text)
            from pg_class as c join pg_attribute as a on a.attrelid = c.oid
            where c.relnamespace = 'messaging'::regnamespace and c.relkind in ('r', 'p')
                and not c.relispartition and a.attnum > 0 and not a.attisdropped
            group by c.relname
            """
        ).fetchall()
    existing = {name: set(columns) for name, columns in rows}
    documented = documented_tables()
    assert documented.keys() == existing.keys()
    for name, columns in existing.items():
        assert documented[name] == columns, name


def test_the_indexes_that_the_docs_name_exist(planner: ClonedDatabase) -> None:
    text = (ROOT / "docs" / "data-model.md").read_text()
    named = set(re.findall(r"[Ii]ndex `(\w+)`", text))
    with psycopg.connect(planner.superuser_url) as link:
        known = {
            name
            for (name,) in link.execute(
                "select relname from pg_class where relkind in ('i', 'I')"
                " and relnamespace = 'messaging'::regnamespace"
            )
        }
    assert "whatsapp_messages_thread" in named
    assert named <= known


def test_a_table_to_come_is_not_there_yet(planner: ClonedDatabase) -> None:
    """Once a feature builds it, it moves to part 1."""
    text = (ROOT / "docs" / "data-model.md").read_text()
    rows = table_rows(section(text, "# Part 3: tables to come"))
    planned = {words(row[0])[0] for row in rows}
    assert len(planned) == len(rows)
    assert not planned & documented_tables().keys()
    assert all(len(row) == 3 and row[1] and row[2] for row in rows)


def _imports_of(path: Path, known: frozenset[str]) -> set[str]:
    """Return the modules of `known` that `path` imports while it is being imported itself."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else str(node.module) for name in inner}
        waiting += ast.iter_child_nodes(node)
    return found & known


def test_no_module_waits_for_one_that_waits_for_it() -> None:
    """So each can be imported first, whatever was imported before it."""
    paths = {module_name(path): path for path in sources(PACKAGE)}
    known = frozenset(paths)
    order = TopologicalSorter({name: _imports_of(path, known) for name, path in paths.items()})
    assert len(tuple(order.static_order())) == len(paths) > 200


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_package_can_be_imported_first() -> None:
    """Kinds are found by their folder, which no import statement shows."""
    names = [module_name(path) for path in sources(PACKAGE) if path.stem == "__init__"]
    program = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for known in [k for k in sys.modules if k.partition('.')[0] == 'switchboard']:\n"
        "        del sys.modules[known]\n"
        "    importlib.import_module(name)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, *names],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
