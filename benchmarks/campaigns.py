"""Figure g: a campaign's audience of 1,000,000 people, frozen as its run does, within 30 seconds.

All contacts of a tenant, all of them agreed; consent is read of each, a template with a value of
the contact. Beside it stands the bare statement: the same keys into a table of their own.
"""

from __future__ import annotations

import time

import psycopg

from benchmarks.figures import Figure
from switchboard.campaigns.starting import begin
from tests.campaigning import Campaigns
from tests.databases import ClonedDatabase

PEOPLE, ROUNDS = 1_000_000, 3
#: Seconds that a freeze may take.
MOST_S = 30.0

BARE = """
drop table if exists public.bare;
create table public.bare (
    tenant_id uuid, campaign_id uuid, position bigint, contact_id uuid, status text,
    primary key (tenant_id, campaign_id, position), unique (tenant_id, campaign_id, contact_id)
);
insert into public.bare
select tenant_id, '00000000-0000-0000-0000-000000000001', row_number() over (order by id), id,
    'pending'
from messaging.contacts
"""


def run(database: ClonedDatabase) -> list[Figure]:
    """Measure figure g: the seconds of a freeze by those that it may take, the worst of rounds."""
    at = Campaigns(database)
    at.people(PEOPLE)
    at.place.everything.execute("vacuum analyze messaging.contacts")
    took = []
    for _ in range(ROUNDS):
        campaign = at.start(at.create())
        began = time.monotonic()
        assert begin(at.real(), at.tenant, campaign, within_s=2 * MOST_S)
        took.append(time.monotonic() - began)
        (row,) = at.place.rows("whatsapp_campaigns", id=campaign)
        assert row["total_recipients"] == PEOPLE
        began = time.monotonic()
        with psycopg.connect(database.superuser_url, autocommit=True) as bare:
            bare.execute(BARE)
        print(f"  campaign-freeze: {took[-1]:.1f} s, bare {time.monotonic() - began:.1f} s")
    at.world.close()
    return [Figure("g", "campaign-freeze", max(took) / MOST_S, 1.0, at_most=True)]
