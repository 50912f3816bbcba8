"""The simulator's refusals, as pywa's errors by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pywa import errors
from pywa import types as p
from pywa.types import templates as t

from tests.pywa_client import ANA, Pywa, pywa
from tests.pywa_templates import CASES
from tests.simulator_run import FIRST, backend, simulator

ENGLISH = t.TemplateLanguage.ENGLISH_US


@pytest.fixture(scope="module")
def running() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        yield client


@pytest.fixture
def client(running: Pywa) -> Pywa:
    running.meta.start_afresh()
    running.meta.http.delete("/simulator/templates").raise_for_status()
    return running


def test_the_burst_to_one_person_ends_in_131056(client: Pywa) -> None:
    client.meta.faults(pair_burst=2)
    for _ in range(2):
        client.client.send_message(ANA, "hi")
    with pytest.raises(errors.TooManyMessages) as raised:
        client.client.send_message(ANA, "hi")
    assert (raised.value.code, raised.value.status_code) == (131056, 400)
    # Somebody else may still be written to.
    client.client.send_message("447700900142", "hi")
    client.meta.clock.ahead += 6
    client.client.send_message(ANA, "hi")


def test_a_number_that_is_too_fast_gets_130429(client: Pywa) -> None:
    client.meta.faults(throughput_per_second=1)
    client.client.send_message(ANA, "hi")
    with pytest.raises(errors.RateLimitHit) as raised:
        client.client.send_message("447700900142", "hi")
    assert (raised.value.code, raised.value.status_code) == (130429, 400)
    client.meta.clock.ahead += 1
    client.client.send_message("447700900142", "hi")


def test_an_unknown_template_gets_132001_and_a_wrong_count_132000(client: Pywa) -> None:
    client.store(CASES["positions"].template("known"))
    with pytest.raises(errors.TemplateNotExists) as unknown:
        client.client.send_template(ANA, "unknown", ENGLISH)
    assert (unknown.value.code, unknown.value.status_code) == (132001, 404)
    assert unknown.value.details == "template name (unknown) does not exist in en_US"
    with pytest.raises(errors.TemplateParamCountMismatch) as miscounted:
        client.client.send_template(ANA, "known", ENGLISH, [])
    assert miscounted.value.code == 132000


def test_a_parameter_that_meta_does_not_take_gets_100(client: Pywa) -> None:
    with pytest.raises(errors.WhatsAppError) as raised:
        client.client.send_message(ANA, "x" * 4097)
    # pywa has no name for it.
    assert (type(raised.value), raised.value.code) == (errors.WhatsAppError, 100)
    assert raised.value.type == "OAuthException"
    assert raised.value.fbtrace_id
    with pytest.raises(errors.InvalidParameter):
        client.client.send_message(ANA, "hi", buttons=[p.Button("Yes", "y")] * 2)
    with pytest.raises(errors.MissingRequiredParameter):
        client.client.send_message(ANA, "hi", buttons=[p.Button("", "y")])


def test_outside_the_window_131047_is_told_at_once_or_later(client: Pywa) -> None:
    client.meta.faults(graph_fault="error", graph_error_code=131047)
    with pytest.raises(errors.ReEngagementMessage) as raised:
        client.client.send_message(ANA, "hi")
    assert raised.value.code == 131047
    client.meta.faults(graph_fault="none")
    closed = {"phone_number_id": FIRST.phone_number_id, "open": False}
    client.meta.http.post("/simulator/phone/ana/window", json=closed).raise_for_status()
    sent = client.client.send_message(ANA, "hi")
    client.meta.flush()
    (status,) = client.meta.backend.statuses(sent.id)
    error = errors.WhatsAppError.from_dict(status["errors"][0])
    assert (type(error), error.code) == (errors.ReEngagementMessage, 131047)
    assert error.details == raised.value.details


def test_a_token_that_is_nobodys_gets_190(client: Pywa) -> None:
    client.client.token = "another"
    try:
        with pytest.raises(errors.ExpiredAccessToken) as raised:
            client.client.send_message(ANA, "hi")
    finally:
        client.client.token = FIRST.access_token
    assert (raised.value.code, raised.value.status_code) == (190, 401)
