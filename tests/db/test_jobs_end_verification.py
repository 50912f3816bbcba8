"""A code whose time is over is forgotten, in its row and in the message that carried it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from switchboard.jobs import end_verification
from switchboard.kernel.clock import uuid7
from switchboard.store import jobs as store
from tests.databases import ClonedDatabase, part_with
from tests.db.jobs_at_hand import START, opened
from tests.db.jobs_worker import Bench, Kinds
from tests.sending import Place, Time

KINDS = Kinds(end_verification.KIND)
CONTENT = {"name": "code", "components": [{"type": "body"}]}


@pytest.fixture
def bench(database: ClonedDatabase) -> Iterator[Bench]:
    with opened(database) as jobs:
        bench = Bench(jobs)
        yield bench
        part_with(bench.tools.db)


def begin(bench: Bench, status: str) -> tuple[Place, UUID]:
    """A code that is over now, its message in `status`, and the job that is due."""
    place = Place(bench.jobs.everything, Time())
    person, verification = place.person(), uuid4()
    begun = START - timedelta(minutes=10)
    everything = bench.jobs.everything
    everything.execute(
        "insert into messaging.phone_verifications (tenant_id, id, contact_id, account_id, phone,"
        " key_sealed, code_hmac, expires_at, created_at)"
        " values (%s, %s, %s, %s, %s, 'k', sha256('x'), %s, %s)",
        (
            place.tenant_id,
            verification,
            person.contact_id,
            place.account_id,
            person.phone,
            START,
            begun,
        ),
    )
    # One of the verification, one of somebody else's doing.
    for origin in (verification, uuid4()):
        everything.execute(
            "insert into messaging.whatsapp_messages (tenant_id, id, account_id, conversation_id,"
            " contact_id, direction, origin, origin_id, message_type, content, status, status_rank,"
            " occurred_at) values (%s, %s, %s, %s, %s, 'outbound', 'api', %s, 'template', %s, %s,"
            " messaging.status_rank(%s), %s)",
            (
                place.tenant_id,
                uuid7(),
                place.account_id,
                person.conversation_id,
                person.contact_id,
                origin,
                json.dumps(CONTENT),
                status,
                status,
                begun,
            ),
        )
    with everything.transaction():
        store.enqueue(
            everything,
            tenant_id=place.tenant_id,
            job_type="end_verification",
            args={"verification_id": verification},
            scheduled_for=START,
            now=begun,
        )
    return place, verification


def content(place: Place, origin: UUID) -> Any:
    (row,) = place.rows("whatsapp_messages", origin_id=origin)
    return row["content"]


@pytest.mark.parametrize("status", ["accepted", "failed", "unconfirmed", "denied", "expired"])
def test_the_code_goes_from_its_row_and_its_message(bench: Bench, status: str) -> None:
    place, verification = begin(bench, status)
    bench.drain(KINDS)
    (row,) = place.rows("phone_verifications")
    assert (row["status"], row["code_hmac"], row["key_sealed"]) == ("expired", None, None)
    assert content(place, verification) == {"name": "code"}
    others = [m for m in place.rows("whatsapp_messages") if m["origin_id"] != verification]
    assert [m["content"] for m in others] == [CONTENT]


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_a_message_on_its_way_is_waited_for(bench: Bench, status: str) -> None:
    place, verification = begin(bench, status)
    bench.drain(KINDS)
    assert content(place, verification) == CONTENT
    bench.jobs.everything.execute("update messaging.whatsapp_messages set status = 'failed'")
    bench.later(60)
    bench.drain(KINDS)
    assert content(place, verification) == {"name": "code"}
    (row,) = place.rows("phone_verifications")
    assert row["status"] == "expired"
