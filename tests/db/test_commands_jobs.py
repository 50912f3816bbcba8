"""Jobs by command: those of one tenant, as the functions' role."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from switchboard.__main__ import DONE, REFUSED, WRONG_ARGUMENTS
from tests.commanding import CommandLine
from tests.databases import ClonedDatabase
from tests.db.jobs_at_hand import Jobs, opened

#: Long ago, so that the machine's own clock finds the jobs due.
DUE = datetime.fromisoformat("2026-01-02T03:04:05+00:00")


@pytest.fixture
def jobs(database: ClonedDatabase) -> Iterator[Jobs]:
    with opened(database) as jobs:
        yield jobs


def test_a_failed_job_is_found_shown_and_retried_by_command(jobs: Jobs, call: CommandLine) -> None:
    tenant = jobs.tenant()
    (job,) = jobs.put(tenant, due=DUE)
    token = uuid.uuid4()
    jobs.finish(token, jobs.claim(token=token, now=DUE), "failed", now=DUE, error="Boom")
    jobs.put(tenant, due=DUE)

    code, out, _ = call("jobs", "list", "--tenant", tenant, "--status", "failed")
    assert code == DONE
    heading, row = out.splitlines()[0], out.splitlines()[1:]
    assert heading.split() == "id type status priority attempts scheduled_for error".split()
    assert any(str(job) in line and "Boom" in line for line in row)

    code, out, _ = call("jobs", "show", "--tenant", tenant, "--job", job, "--json")
    assert (code, json.loads(out)["error"]) == (DONE, "Boom")
    code, out, _ = call("jobs", "retry", "--tenant", tenant, "--job", job, "--json")
    assert (code, json.loads(out)["status"]) == (DONE, "pending")
    code, _, err = call("jobs", "retry", "--tenant", tenant, "--job", job)
    assert (code, err) == (REFUSED, "error: a job that is pending cannot be retried\n")


def test_a_waiting_job_is_put_off_and_cancelled_by_command(jobs: Jobs, call: CommandLine) -> None:
    tenant = jobs.tenant()
    (job,) = jobs.put(tenant, due=DUE)
    until = (datetime.now(DUE.tzinfo) + timedelta(days=30)).replace(microsecond=0)
    words = ("--tenant", tenant, "--job", job)
    code, out, _ = call("jobs", "snooze", *words, "--until", until.isoformat(), "--json")
    assert code == DONE
    assert datetime.fromisoformat(json.loads(out)["scheduled_for"]) == until
    assert call("jobs", "snooze", *words, "--until", "soon")[0] == WRONG_ARGUMENTS
    code, out, _ = call("jobs", "cancel", *words, "--json")
    assert (code, json.loads(out)["status"]) == (DONE, "cancelled")


@pytest.mark.parametrize("job", [1, 0, -1, 2**63, 10**30])
def test_another_tenants_job_and_an_impossible_one_are_not_known(
    jobs: Jobs, call: CommandLine, job: int
) -> None:
    jobs.put(jobs.tenant())
    for verb in ("show", "retry", "cancel"):
        code, _, err = call("jobs", verb, "--tenant", jobs.tenant(), f"--job={job}")
        assert (code, err) == (REFUSED, "error: this job is not known\n")


def test_housekeeping_is_the_system_tenants(jobs: Jobs, call: CommandLine) -> None:
    (job,) = jobs.put(uuid.UUID(int=0), "sweep")
    code, out, _ = call("jobs", "list", "--tenant", "system", "--json")
    assert (code, [one["id"] for one in json.loads(out)["data"]]) == (DONE, [job])
