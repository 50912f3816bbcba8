"""The local run: starts the parts in order, keeps them alive, stops them.

Order: Postgres and the AWS stand-ins side by side; the functions; the schema and the demo through
the real migrate function; the API; the simulator; the schedules. `.local/env` is written last.
"""

from __future__ import annotations

import asyncio
import fcntl
import http.client
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

from local.addresses import (
    Addresses,
    aws_resources,
    environment_file,
    template_parameters,
    variable,
)
from local.child import Child
from local.demo import Seeded, seed, simulator_numbers, simulator_tenants
from local.demo_templates import give_templates
from local.faults import LocalError
from local.files import write_whole
from local.gateway.app import http_api
from local.greeting import greet
from local.guardian import Guardian
from local.lambdas.invoke_api import invoke_api
from local.lambdas.platform import Lambdas
from local.made_once import MadeOnce
from local.ports import HOST, listen, require_free
from local.postgres import PostgresServer
from local.postgres_binaries import find_binaries
from local.scheduler import run_schedule
from local.serving import Server
from local.settings import LocalSettings
from local.template.model import Template
from local.template.read import read_template


class LocalRun:
    """One run on one folder: `start`, then `wait`, then `stop`."""

    def __init__(self, settings: LocalSettings, guardian: Guardian) -> None:
        self._settings = settings
        self._guardian = guardian
        self._began = time.monotonic()
        self._broken: asyncio.Future[LocalError] = asyncio.get_running_loop().create_future()
        self._aws: Child | None = None
        self._simulator: Child | None = None
        self._servers: list[Server] = []
        self._schedules: list[asyncio.Task[None]] = []
        self._lambdas: Lambdas | None = None
        self._postgres: PostgresServer | None = None
        self._lock: TextIO | None = None

    def say(self, text: str) -> None:
        """Tell the person in front of it how far things are."""
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    async def start(self) -> dict[str, str]:
        """Start everything and return what `.local/env` says; raises LocalError."""
        settings = self._settings
        self._lock = lock_folder(settings.folder)
        settings.env_file.unlink(missing_ok=True)
        kept = MadeOnce(settings.folder / "made-once.json")
        addresses = Addresses(
            api=require_free(settings.port, "PORT", "the API"),
            simulator=require_free(settings.simulator_port, "SIMULATOR_PORT", "the simulator"),
            aws=kept.port("aws"),
            invoke=kept.port("invoke"),
        )
        template = self._read_template(addresses)
        postgres = self._postgres = PostgresServer(
            settings.folder / "postgres",
            log=settings.logs / "postgres.log",
            port=kept.port("postgres"),
            passwords=kept.passwords(),
            binaries=find_binaries(),
            guardian=self._guardian,
            say=self.say,
        )
        await self._start_stores(addresses, template, kept, postgres)
        lambdas = await self._start_functions(addresses, template)
        applied = (await _call(lambdas, template, {"migrate": True}))["applied"]
        self.say(f"schema is current ({len(applied)} migrations applied)")

        async def administer(request: dict[str, Any]) -> dict[str, Any]:
            return await _call(lambdas, template, {"admin": request})

        seeded = await seed(administer, kept)
        self.say("demo tenants and numbers are registered")
        meta = _read_meta_secret(addresses, template)
        await self._start_api(addresses, template, lambdas)
        await self._start_simulator(addresses, kept, meta, seeded)
        url = addresses.simulator_url
        if not await asyncio.to_thread(greet, url, kept, first_time=bool(applied)):
            self.say("a first message from the phone did not get through: see the logs")
        if not await asyncio.to_thread(give_templates, url, addresses.api_url, seeded):
            self.say("the demo's templates could not be brought from the simulator: see the logs")
        for schedule in template.schedules:
            work = run_schedule(schedule, lambdas.invoke_later)
            self._schedules.append(asyncio.create_task(work))
        return self._publish(addresses, template, postgres, seeded, meta)

    async def wait(self, until: asyncio.Event) -> None:
        """Return when `until` is set; raises LocalError when a part cannot be kept running."""
        self._broken.add_done_callback(lambda _: until.set())
        await until.wait()
        if self._broken.done():
            raise self._broken.result()

    async def stop(self) -> None:
        """Stop what was started, callers before what they call."""
        if self._lock is not None:  # else the folder is another run's, or no folder at all
            self._settings.env_file.unlink(missing_ok=True)
        for task in self._schedules:
            task.cancel()
        await asyncio.gather(*self._schedules, return_exceptions=True)
        if self._simulator is not None:
            await self._simulator.stop()
        for server in self._servers:
            await server.end()
        if self._lambdas is not None:
            await self._lambdas.stop()
        if self._aws is not None:
            await self._aws.stop()
        if self._postgres is not None:
            await asyncio.to_thread(self._postgres.stop)
        if self._lock is not None:
            self._lock.close()

    def _read_template(self, addresses: Addresses) -> Template:
        settings = self._settings
        return read_template(
            settings.root / "template.yaml",
            parameters=template_parameters(addresses, settings.log_level),
            # In Lambda the folder of migrations is a layer.
            overrides=lambda _: {"MIGRATIONS_DIR": str(settings.root / "sql")},
        )

    async def _start_stores(
        self, addresses: Addresses, template: Template, kept: MadeOnce, postgres: PostgresServer
    ) -> None:
        resources = aws_resources(addresses, template, kept, postgres)
        aws = self._aws = self._child(
            "aws",
            [sys.executable, "-m", "local.aws", str(addresses.aws), str(self._folder("aws"))],
            addresses.aws,
            {},
            first_line=json.dumps(resources) + "\n",
        )
        starting = asyncio.create_task(aws.start())
        try:
            await asyncio.to_thread(postgres.start)
            postgres.watch()
            self.say(f"Postgres on port {postgres.port}, data in {postgres.folder}")
        finally:
            await starting
        aws.keep_alive(self._give_up)
        self.say(f"S3, Secrets Manager, KMS and SES on port {addresses.aws}")

    async def _start_functions(self, addresses: Addresses, template: Template) -> Lambdas:
        settings = self._settings
        lambdas = self._lambdas = Lambdas(
            template.functions,
            workers=settings.workers,
            environment=addresses.aws_environment(),
            logs=settings.logs,
            guardian=self._guardian,
            freeze=settings.freeze,
            console=self.say,
        )
        await lambdas.start()
        await self._serve(invoke_api(lambdas), addresses.invoke)
        self.say(f"{len(template.functions)} functions; Lambda's API on port {addresses.invoke}")
        return lambdas

    async def _start_api(self, addresses: Addresses, template: Template, lambdas: Lambdas) -> None:
        await self._serve(http_api(template.routes, lambdas.invoke), addresses.api)
        self.say(f"API on {addresses.api_url}")

    async def _start_simulator(
        self,
        addresses: Addresses,
        kept: MadeOnce,
        meta: dict[str, str],
        seeded: list[Seeded],
    ) -> None:
        simulator = self._simulator = self._child(
            "simulator",
            [sys.executable, "-m", "local.simulator"],
            addresses.simulator,
            {
                "SIMULATOR_PORT": str(addresses.simulator),
                "LOCAL_DIR": str(self._folder("simulator")),
                "WEBHOOK_URL": f"{addresses.api_url}/webhook",
                "META_APP_SECRET": meta["app_secret"],
                "META_VERIFY_TOKEN": meta["verify_token"],
                "SIMULATOR_NUMBERS": simulator_numbers(kept),
                "API_URL": addresses.api_url,
                "SIMULATOR_TENANTS": simulator_tenants(seeded),
            },
        )
        await simulator.start()
        simulator.keep_alive(self._give_up)
        self.say(f"simulator on {addresses.simulator_url}")

    def _publish(
        self,
        addresses: Addresses,
        template: Template,
        postgres: PostgresServer,
        seeded: list[Seeded],
        meta: dict[str, str],
    ) -> dict[str, str]:
        values = environment_file(addresses, template, postgres, seeded, meta)
        lines = "".join(f"{name}={value}\n" for name, value in values.items())
        write_whole(self._settings.env_file, lines.encode())
        return values

    async def _serve(self, app: Any, port: int) -> None:
        server = Server(app, [listen(port)])
        self._servers.append(server)
        await server.begin()

    def _child(
        self,
        name: str,
        command: list[str],
        port: int,
        environment: dict[str, str],
        *,
        first_line: str = "",
    ) -> Child:
        return Child(
            name,
            command,
            port=port,
            environment={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
            | environment,
            folder=self._settings.root,
            log=self._settings.logs / f"{name}.log",
            guardian=self._guardian,
            say=self.say,
            first_line=first_line,
        )

    def _folder(self, name: str) -> Path:
        folder = self._settings.folder / name
        folder.mkdir(exist_ok=True)
        return folder

    def _give_up(self, error: LocalError) -> None:
        if not self._broken.done():
            self._broken.set_result(error)


def lock_folder(folder: Path) -> TextIO:
    """Make the folder and return its lock, held until closed.

    Raises LocalError if another run holds it, or nothing can be kept there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a+", encoding="ascii")
    except OSError as error:
        reason = error.strerror or str(error)
        # mkdir says "File exists" of a file that is in the folder's place.
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = f"{_first_file(folder)} is a file, not a folder"
        raise LocalError(
            f"Nothing can be kept in {folder} ({reason}): "
            "choose another folder with LOCAL_DIR=<folder>."
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise LocalError(
            f"Switchboard already runs on {folder} (process {owner}): stop it, "
            "or choose another folder with LOCAL_DIR=<folder>."
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def _first_file(folder: Path) -> Path:
    """Return the part of the path that is no folder, `folder` itself if all others are."""
    found = (path for path in reversed(folder.parents) if path.exists() and not path.is_dir())
    return next(found, folder)


async def _call(lambdas: Lambdas, template: Template, event: dict[str, Any]) -> dict[str, Any]:
    """Invoke the migrate function; raises LocalError when it fails."""
    spec = next((f for f in template.functions if f.code.name == "migrate"), None)
    if spec is None:
        raise LocalError("The template has no function whose code is functions/migrate.")
    log = lambdas.find(spec.name).log
    # What ends this call is told below in one sentence: its traceback is for the file alone.
    log.hide_errors = True
    result = await lambdas.invoke(spec.name, json.dumps(event).encode())
    document: dict[str, Any] = json.loads(result.payload)
    if result.error is not None:
        raise LocalError(
            f"The database could not be prepared: {document.get('errorMessage')} "
            f"({document.get('errorType')}, log: {log.path}).{_way_out(document, log.path)}"
        )
    log.hide_errors = False
    return document


def _way_out(failed: dict[str, Any], log: Path) -> str:
    """Return advice for a migration that was edited after it ran, which is usual in development.

    No other failure is mended by an empty database, a misnamed file (also MigrationDrift) least.
    """
    edited = "differs from what was applied" in str(failed.get("errorMessage"))
    if failed.get("errorType") != "MigrationDrift" or not edited:
        return ""
    folder = log.parent.parent
    return f"\nWhile developing, {folder} can be deleted: the next start makes it anew, empty."


def _read_meta_secret(addresses: Addresses, template: Template) -> dict[str, str]:
    """Return the Meta app's secret as it is now: the operator may have rotated it."""
    connection = http.client.HTTPConnection(HOST, addresses.aws, timeout=10)
    arn = variable(template, "META_SECRET_ARN") or ""
    try:
        connection.request(
            "GET",
            f"/secretsmanager/get?secretId={arn}&refreshNow=true",
            headers={"X-Aws-Parameters-Secrets-Token": "local"},
        )
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    document: dict[str, str] = json.loads(answer["SecretString"])
    return document
