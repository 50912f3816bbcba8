"""Raw bodies wait in S3 while Postgres is away: `<received day>/<sha256 of the body>`.

The object is the body as Meta sent it (its signature was checked before); the metadata name the
Meta app of the path. A body that cannot be stored five times moves to `failed/` with a dead letter,
so that one bad body never holds up the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from switchboard.intake import routing
from switchboard.intake.store import keep_body, store
from switchboard.kernel import aws
from switchboard.kernel.errors import NotFound, Unavailable
from switchboard.kernel.log import log
from switchboard.store import letters
from switchboard.tools import Tools

#: Failures after which a body moves to `failed/`.
_GIVE_UP = 5
_FAILED = "failed/"


@dataclass(slots=True)
class Drained:
    """What one drain did: bodies stored, failed once more, given up; whether a nudge is due."""

    stored: int = 0
    failed: int = 0
    given_up: int = 0
    nudge: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A body in the bucket; `failed`: given up, its dead letter says why."""

    key: str
    bytes: int
    kept_at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """Bodies in the order of their keys, the oldest day first; `cursor` asks for the next ones."""

    bodies: Sequence[Waiting]
    cursor: str | None


def put(tools: Tools, body: bytes, app_id: str | None) -> None:
    """Lay `body` into the backlog. Raises Unavailable when the bucket does not take it either."""
    day = tools.clock.wall().strftime("%Y-%m-%d")
    digest = hashlib.sha256(body).hexdigest()
    try:
        aws.client("s3").put_object(
            Bucket=tools.settings.require("backlog_bucket"),
            Key=f"{day}/{digest}" if app_id is None else f"{day}/{digest}-{app_id}",
            Body=body,
            ContentType="application/json",
            Metadata={} if app_id is None else {"app-id": app_id},
        )
    except Exception as error:
        log.error("backlog.refused", error=error)
        raise Unavailable("neither the database nor the backlog takes the delivery") from error
    log.warning("backlog.kept", bytes=len(body))


def drain(tools: Tools, enough_time: Callable[[], bool]) -> Drained:
    """Store what waits, oldest day first, through the same intake; delete it after the commit.

    Stops when `enough_time()` is false or the database is away (then nothing counts as failed).
    One drainer per period runs this (the job's unique key); two at once would do no harm.
    """
    drained = Drained()
    if not tools.settings.backlog_bucket:
        return drained
    s3 = aws.client("s3")
    bucket = tools.settings.backlog_bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            key: str = entry["Key"]
            if key.startswith(_FAILED):
                continue
            if not enough_time():
                return drained
            try:
                _drain_one(tools, s3, bucket, key, drained)
            except Unavailable:
                log.warning("backlog.database_away")
                return drained
    return drained


def browse(
    tools: Tools, *, failed: bool = False, cursor: str | None = None, limit: int = 100
) -> WaitingPage:
    """Return what waits (or, `failed`, what was given up). Raises ConfigurationError, no bucket."""
    listed = aws.client("s3").list_objects_v2(
        Bucket=tools.settings.require("backlog_bucket"),
        # A day begins with a digit: what waits is all before `failed/`.
        Prefix=_FAILED if failed else "2",
        StartAfter=cursor or "",
        MaxKeys=limit,
    )
    bodies = [
        Waiting(entry["Key"], entry["Size"], entry["LastModified"], failed)
        for entry in listed.get("Contents", [])
    ]
    return WaitingPage(bodies, bodies[-1].key if listed["IsTruncated"] else None)


def replay_failed(
    tools: Tools, enough_time: Callable[[], bool], *, key: str | None = None
) -> Drained:
    """Take what was given up (only `key` where given) through intake again, after a fix.

    What is stored is deleted and its dead letter resolved; what fails once more stays. Stops when
    `enough_time()` is false. Raises NotFound for a key that is not there, Unavailable when the
    database is away, ConfigurationError without a bucket.
    """
    drained = Drained()
    s3 = aws.client("s3")
    bucket = tools.settings.require("backlog_bucket")
    if key is not None:
        if not key.startswith(_FAILED) or not _replay_one(tools, s3, bucket, key, drained):
            raise NotFound(f"there is no such object under {_FAILED}")
        return drained
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_FAILED):
        for entry in page.get("Contents", []):
            if not enough_time():
                return drained
            _replay_one(tools, s3, bucket, entry["Key"], drained)
    return drained


def _replay_one(tools: Tools, s3: Any, bucket: str, key: str, drained: Drained) -> bool:
    """Store one given-up body; returns False where there is none."""
    try:
        got = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return False
    body: bytes = got["Body"].read()
    app_id = got["Metadata"].get("app-id")
    error = _store(tools, body, app_id, drained)
    if error is not None:
        log.error("backlog.not_stored", error=error)
        drained.failed += 1
        return True
    tenant_id = routing.app_tenant(tools, app_id)
    with tools.db.transaction(tenant_id) as connection:
        letters.resolve_body(connection, tenant_id, body, now=tools.clock.now)
    s3.delete_object(Bucket=bucket, Key=key)
    drained.stored += 1
    return True


def _drain_one(tools: Tools, s3: Any, bucket: str, key: str, drained: Drained) -> None:
    try:
        got = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return  # another drainer was faster
    body: bytes = got["Body"].read()
    metadata: dict[str, str] = got["Metadata"]
    app_id = metadata.get("app-id")
    error = _store(tools, body, app_id, drained)
    if isinstance(error, Unavailable):
        # A link may have been lost; a body at which a healthy database fails twice is at fault.
        error = _store(tools, body, app_id, drained)
    if error is not None:
        failures = int(metadata.get("failures", "0")) + 1
        log.error("backlog.not_stored", error=error, failures=failures)
        if failures < _GIVE_UP:
            drained.failed += 1
            target = key
        else:
            keep_body(tools, body, app_id, "backlog_failed", type(error).__name__)
            drained.given_up += 1
            target = _FAILED + key
        s3.put_object(
            Bucket=bucket,
            Key=target,
            Body=body,
            ContentType="application/json",
            Metadata={**metadata, "failures": str(failures)},
        )
        if target == key:
            return
    else:
        drained.stored += 1
    s3.delete_object(Bucket=bucket, Key=key)


def _store(tools: Tools, body: bytes, app_id: str | None, drained: Drained) -> Exception | None:
    """Store `body`; return what failed. Raises Unavailable when the database does not answer."""
    try:
        drained.nudge = store(tools, body, app_id).nudge or drained.nudge
    except Exception as error:
        if isinstance(error, Unavailable) and not (_lost_link(error) and _answers(tools)):
            raise
        return error
    return None


def _lost_link(error: Unavailable) -> bool:
    """Whether the link broke (no SQLSTATE, or 57P: the backend was ended), nothing else."""
    cause = error.__cause__
    return isinstance(cause, psycopg.OperationalError) and (cause.sqlstate or "57P")[:3] == "57P"


def _answers(tools: Tools) -> bool:
    tools.db.drop()
    try:
        tools.db.connection().execute("select 1")
    except (Unavailable, psycopg.OperationalError):
        return False
    return True
