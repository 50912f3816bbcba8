"""The fields that the simulator's nodes have, as each version of Graph knows them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.simulator_run import FIRST, Simulator, backend, simulator


@pytest.fixture(scope="module")
def meta() -> Iterator[Simulator]:
    with backend() as receiver, simulator(receiver) as running:
        yield running


def ask(meta: Simulator, path: str, version: str = "v23.0", **params: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {FIRST.access_token}"}
    return meta.http.get(f"/{version}/{path}", params=params, headers=headers)


def test_a_field_without_a_value_is_left_out_and_an_invented_one_refused(meta: Simulator) -> None:
    for node, empty in ((FIRST.phone_number_id, "certificate"), (FIRST.waba_id, "ownership_type")):
        assert ask(meta, node, fields=f"id,{empty}").json() == {"id": node}
        refused = ask(meta, node, fields=f"id,{empty},colour")
        assert "nonexisting field (colour)" in refused.json()["error"]["message"]


def test_a_field_of_one_node_is_none_of_the_other(meta: Simulator) -> None:
    assert ask(meta, FIRST.waba_id, fields="certificate").status_code == 400
    assert ask(meta, FIRST.phone_number_id, fields="ownership_type").status_code == 400


def test_the_new_name_of_the_limit_is_known_from_version_24_on(meta: Simulator) -> None:
    name = "whatsapp_business_manager_messaging_limit"
    old = ask(meta, FIRST.phone_number_id, fields=name)
    assert f"nonexisting field ({name})" in old.json()["error"]["message"]
    new = ask(meta, FIRST.phone_number_id, "v24.0", fields=name)
    assert new.json() == {"id": FIRST.phone_number_id, name: "TIER_2K"}
    assert name not in ask(meta, FIRST.phone_number_id, "v24.0").json()


def test_a_slash_at_the_end_of_a_path_says_nothing(meta: Simulator) -> None:
    for path in (FIRST.phone_number_id, f"{FIRST.waba_id}/phone_numbers"):
        plain, slashed = ask(meta, path), ask(meta, f"{path}/")
        assert (plain.status_code, plain.json()) == (slashed.status_code, slashed.json())
        assert plain.status_code == 200


def test_a_list_of_templates_is_summed_up_when_asked(meta: Simulator) -> None:
    path = f"{FIRST.waba_id}/message_templates"
    assert "summary" not in ask(meta, path).json()
    asked = "total_count,message_template_limit"
    summary = ask(meta, path, summary=asked).json()["summary"]
    assert summary == {"total_count": 0, "message_template_limit": 250}
    assert ask(meta, path, summary="total_cost").json()["error"]["code"] == 100
