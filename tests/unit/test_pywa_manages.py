"""Files, block lists, profiles, Flows, numbers and calls: pywa asks, the simulator answers.

What pywa's client cannot: read a list of the blocked (it wants `input`, which Meta sends for
changes only), ask for a permission to call (it loses an argument on the way), read the answer to a
call that it makes (it wants `success`, which Meta's file has for the other actions only). All three
are asked for here one layer below, by its GraphAPI.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pywa import errors
from pywa import types as p
from pywa.types.calls import CallPermissionStatus, SessionDescription
from pywa.types.flows import FlowCategory, FlowStatus

from tests.pywa_client import ANA, ANA_ID, ANA_USER, Json, Pywa, pywa
from tests.simulator_run import FIRST, SECOND, backend, simulator

FLOW_JSON: Json = {
    "version": "7.0",
    "screens": [
        {
            "id": "SIZE",
            "terminal": True,
            "layout": {"type": "SingleColumnLayout", "children": []},
        }
    ],
}
OFFER = SessionDescription(sdp_type="offer", sdp="v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\n")
ANSWER = SessionDescription(sdp_type="answer", sdp="v=0\r\no=- 8 2 IN IP4 127.0.0.1\r\n")


@pytest.fixture(scope="module")
def running() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        yield client


@pytest.fixture
def client(running: Pywa) -> Pywa:
    running.meta.start_afresh()
    return running


def journaled_as_sent(client: Pywa, path: str, **body: object) -> None:
    """The last call went there and carried this, on both sides."""
    entry = client.last_journaled
    assert entry["path"].rstrip("/").endswith(path)
    assert entry["status"] == 200
    assert entry["body"] == client.last_body == body


def test_a_file_is_uploaded_found_fetched_and_deleted(client: Pywa) -> None:
    content = b"\x89PNG and so on"
    media = client.client.upload_media(content, mime_type="image/png", filename="a.png")
    found = client.client.get_media_url(media.id)
    assert (found.id, found.mime_type, found.file_size) == (media.id, "image/png", len(content))
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert client.client.get_media_bytes(found.url) == content
    # Only the number that has it can delete it.
    with pytest.raises(errors.WhatsAppError) as raised:
        client.client.delete_media(media.id, phone_id=SECOND.phone_number_id)
    assert raised.value.code == 100
    assert client.client.delete_media(media.id).success
    with pytest.raises(errors.WhatsAppError) as raised:
        client.client.get_media_url(media.id)
    assert (raised.value.code, raised.value.subcode) == (100, 33)


def test_people_are_blocked_listed_and_unblocked(client: Pywa) -> None:
    client.meta.play("ana", text="hola")
    (added,) = client.client.block_users([ANA_ID]).added_users
    assert (added.input, added.wa_id, added.bsuid) == (ANA_ID, ANA_ID, ANA_USER)
    user = [{"user": ANA_ID}]
    path = f"{FIRST.phone_number_id}/block_users"
    journaled_as_sent(client, path, messaging_product="whatsapp", block_users=user)
    (listed,) = client.client.api.get_blocked_users(FIRST.phone_number_id)["data"]
    assert listed == {"messaging_product": "whatsapp", "wa_id": ANA_ID, "user_id": ANA_USER}
    (removed,) = client.client.unblock_users([ANA_USER]).removed_users
    assert (removed.input, removed.wa_id) == (ANA_USER, ANA_ID)
    journaled_as_sent(
        client, path, messaging_product="whatsapp", block_users=[{"user_id": ANA_USER}]
    )
    assert client.client.api.get_blocked_users(FIRST.phone_number_id)["data"] == []


def test_who_did_not_write_lately_is_not_blocked(client: Pywa) -> None:
    client.meta.play("ana", text="hola")
    with pytest.raises(errors.BulkBlockingFailed) as raised:
        client.client.block_users([ANA_ID, "447700900142"])
    response = raised.value.raw_response
    assert response is not None
    (failed,) = response.json()["block_users"]["failed_users"]
    assert failed["errors"][0]["code"] == 131047
    (added,) = response.json()["block_users"]["added_users"]
    assert added["wa_id"] == ANA_ID


def test_a_profile_is_written_and_read(client: Pywa) -> None:
    assert client.client.update_business_profile(
        about="Plants",
        address="Calle 1",
        description="Plants of all sizes",
        email="hola@casa.example",
        industry=p.Industry.RETAIL,
        websites=["https://casa.example"],
        profile_picture=b"a picture",
    ).success
    entry = client.last_journaled
    assert entry["body"] == client.last_body
    handle = client.last_body.pop("profile_picture_handle")
    assert client.last_body == {
        "messaging_product": "whatsapp",
        "about": "Plants",
        "address": "Calle 1",
        "description": "Plants of all sizes",
        "email": "hola@casa.example",
        "vertical": "RETAIL",
        "websites": ["https://casa.example"],
        "profile_picture_handle": handle,
    }
    profile = client.client.get_business_profile()
    assert (profile.about, profile.industry) == ("Plants", p.Industry.RETAIL)
    assert profile.websites == ("https://casa.example",)
    assert profile.profile_picture_url is not None


def test_a_flow_is_made_filled_published_and_retired(client: Pywa) -> None:
    wa = client.client
    flow = wa.create_flow("sizes", [FlowCategory.SURVEY])
    path = f"{FIRST.waba_id}/flows"
    entry = client.last_journaled
    assert entry["path"].endswith(path)
    assert client.last_body == {"name": "sizes", "categories": ["SURVEY"]}
    assert json.loads(entry["body"]["categories"]) == client.last_body["categories"]
    with pytest.raises(errors.FlowPublishingError):
        wa.publish_flow(flow.id)
    broken = wa.update_flow_json(flow.id, {**FLOW_JSON, "screens": []})
    assert [error.error for error in broken.validation_errors or ()] == [
        "MISSING_REQUIRED_PROPERTY"
    ]
    assert not wa.update_flow_json(flow.id, FLOW_JSON).validation_errors
    assert client.last_journaled["body"]["file"] == FLOW_JSON
    assert wa.update_flow_metadata(flow.id, name="all_sizes").success
    (asset,) = wa.get_flow_assets(flow.id)
    fetched = client.meta.http.get(asset.url).json()
    assert fetched == FLOW_JSON
    assert wa.publish_flow(flow.id).success
    found = wa.get_flow(flow.id)
    assert (found.name, found.status) == ("all_sizes", FlowStatus.PUBLISHED)
    assert (found.categories, found.json_version) == ((FlowCategory.SURVEY,), "7.0")
    assert found.updated_at is not None
    assert int(found.updated_at.timestamp()) == int(client.meta.clock())
    # Emptying the phones changes no Flow.
    client.meta.clock.ahead += 90
    client.meta.http.post("/simulator/reset").raise_for_status()
    assert wa.get_flow(flow.id).updated_at == found.updated_at
    with pytest.raises(errors.FlowUpdatingError):
        wa.update_flow_json(flow.id, FLOW_JSON)
    with pytest.raises(errors.FlowDeletingError):
        wa.delete_flow(flow.id)
    assert wa.deprecate_flow(flow.id).success
    with pytest.raises(errors.FlowDeprecatingError):
        wa.deprecate_flow(flow.id)


def test_flows_are_listed_cloned_made_ready_and_deleted(client: Pywa) -> None:
    wa = client.client
    ready = wa.create_flow("ready", [FlowCategory.OTHER], flow_json=FLOW_JSON, publish=True)
    clone = wa.create_flow("clone", [FlowCategory.OTHER], clone_flow_id=str(ready.id))
    states = {flow.name: flow.status for flow in wa.get_flows()}
    assert (states["ready"], states["clone"]) == (FlowStatus.PUBLISHED, FlowStatus.DRAFT)
    assert wa.delete_flow(clone.id).success
    assert "clone" not in {flow.name for flow in wa.get_flows()}
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert wa.set_business_public_key(pem).success
    journaled_as_sent(
        client, f"{FIRST.phone_number_id}/whatsapp_business_encryption", business_public_key=pem
    )


def test_numbers_and_accounts_are_described(client: Pywa) -> None:
    wa = client.client
    number = wa.get_business_phone_number()
    assert (number.id, number.display_phone_number) == (
        FIRST.phone_number_id,
        f"+{FIRST.display_phone_number}",
    )
    assert (number.quality_rating, number.throughput) == ("GREEN", {"level": "STANDARD"})
    assert number.whatsapp_business_manager_messaging_limit == "TIER_2K"
    hosted = {one.id for one in wa.get_business_phone_numbers()}
    assert hosted == {FIRST.phone_number_id, SECOND.phone_number_id}
    account = wa.get_business_account()
    assert (account.id, account.currency) == (FIRST.waba_id, "USD")


def test_webhooks_are_led_elsewhere_and_back(client: Pywa) -> None:
    wa = client.client
    assert wa.override_phone_callback_url("https://other.example/hook", "a token").success
    given = {"override_callback_uri": "https://other.example/hook"}
    entry = client.last_journaled
    # The simulator writes down no secrets.
    assert entry["body"] == {"webhook_configuration": given}
    assert client.last_body == {"webhook_configuration": {**given, "verify_token": "a token"}}
    shown = wa.get_business_phone_number().webhook_configuration
    assert shown is not None
    assert shown["phone_number"] == "https://other.example/hook"
    assert wa.delete_phone_callback_url().success
    assert "phone_number" not in (wa.get_business_phone_number().webhook_configuration or {})
    assert wa.override_waba_callback_url("https://other.example/hook", "a token").success
    assert wa.delete_waba_callback_url().success


def test_the_business_calls_once_it_may_and_hangs_up(client: Pywa) -> None:
    wa = client.client
    path = f"{FIRST.phone_number_id}/calls"
    with pytest.raises(errors.CallPermissionNotFound):
        wa.initiate_call(ANA_ID, OFFER)
    wa.send_message(ANA, "May we call?", buttons=p.CallPermissionRequestButton())
    client.meta.play("ana", type="call_permission", response="accept")
    told = wa.api.get_call_permissions(FIRST.phone_number_id, ANA_ID, None)
    permission = p.calls.CallPermissions.from_dict(told)
    assert permission.permission.status is CallPermissionStatus.TEMPORARY
    (call,) = wa.api.initiate_call(FIRST.phone_number_id, ANA_ID, None, OFFER.to_dict(), "order-1")[
        "calls"
    ]
    journaled_as_sent(
        client,
        path,
        messaging_product="whatsapp",
        to=ANA_ID,
        action="connect",
        session=OFFER.to_dict(),
        biz_opaque_callback_data="order-1",
    )
    assert call["id"].startswith("wacid.")
    with pytest.raises(errors.DuplicateCall):
        wa.initiate_call(ANA_ID, OFFER)
    assert wa.terminate_call(call["id"]).success
    journaled_as_sent(
        client, path, messaging_product="whatsapp", call_id=call["id"], action="terminate"
    )


def test_a_call_is_taken_and_another_rejected(client: Pywa) -> None:
    wa = client.client
    path = f"{FIRST.phone_number_id}/calls"
    ring = {"phone_number_id": FIRST.phone_number_id, "do": "call"}
    call_id = client.meta.http.post("/simulator/phone/ana/calls", json=ring).json()["id"]
    both = {"messaging_product": "whatsapp", "call_id": call_id}
    assert wa.pre_accept_call(call_id, ANSWER).success
    journaled_as_sent(client, path, **both, action="pre_accept", session=ANSWER.to_dict())
    assert wa.accept_call(call_id, ANSWER, tracker="order-1").success
    journaled_as_sent(
        client,
        path,
        **both,
        action="accept",
        session=ANSWER.to_dict(),
        biz_opaque_callback_data="order-1",
    )
    assert wa.terminate_call(call_id).success
    other_id = client.meta.http.post("/simulator/phone/ana/calls", json=ring).json()["id"]
    assert wa.reject_call(other_id).success
    journaled_as_sent(client, path, messaging_product="whatsapp", call_id=other_id, action="reject")
    with pytest.raises(errors.CallConnectionError):
        wa.accept_call(other_id, ANSWER)
