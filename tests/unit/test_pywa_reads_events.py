"""Statuses, templates, preferences and calls, told by the simulator and read by pywa.

What pywa itself cannot: a failed status as Meta sends it since version 23, without contacts (its
error alone is read in test_pywa_refusals.py); a language as some of Meta's webhooks write it, en-US
for en_US; more than the first update of a POST.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pywa import types as p
from pywa.types import templates as t
from pywa.types.calls import (
    CallConnect,
    CallDirection,
    CallPermissionResponse,
    CallPermissionUpdate,
    CallStatus,
    CallStatusType,
    CallTerminate,
    CallTerminateStatus,
    SessionDescription,
)
from pywa.types.message_status import (
    ConversationCategory,
    MessageStatus,
    MessageStatusType,
    PricingCategory,
    PricingType,
)
from pywa.types.user_preferences import MarketingPreference, UserMarketingPreferences

from tests.pywa_client import ANA, ANA_ID, ANA_USER, Pywa, pywa
from tests.pywa_templates import CASES, SHOP
from tests.simulator_run import FIRST, backend, simulator

OFFER = SessionDescription(sdp_type="offer", sdp="v=0\r\no=- 7 2 IN IP4 127.0.0.1\r\n")
ANSWER = SessionDescription(sdp_type="answer", sdp="v=0\r\no=- 8 2 IN IP4 127.0.0.1\r\n")


@pytest.fixture(scope="module")
def running() -> Iterator[Pywa]:
    with backend() as receiver, simulator(receiver) as meta, pywa(meta) as client:
        yield client


@pytest.fixture
def client(running: Pywa) -> Pywa:
    running.meta.start_afresh()
    running.meta.http.delete("/simulator/templates").raise_for_status()
    return running


def test_statuses_up_to_read(client: Pywa) -> None:
    client.meta.play("ana", text="hola")
    client.delivered()
    sent = client.client.send_message(ANA, "hi", tracker="order-1")
    words = [client.understands(one, MessageStatus) for one in client.delivered()]
    client.meta.http.post(
        "/simulator/phone/ana/seen", json={"phone_number_id": FIRST.phone_number_id}
    ).raise_for_status()
    words.append(client.told(MessageStatus))
    assert [one.status for one in words] == [
        MessageStatusType.SENT,
        MessageStatusType.DELIVERED,
        MessageStatusType.READ,
    ]
    for one in words:
        assert (one.id, one.tracker, one.error) == (sent.id, "order-1", None)
        assert (one.from_user.wa_id, one.from_user.bsuid) == (ANA_ID, ANA_USER)
    first, second, third = words
    assert first.pricing is not None
    assert (first.pricing.billable, first.pricing.category) == (False, PricingCategory.SERVICE)
    assert first.pricing.type is PricingType.FREE_CUSTOMER_SERVICE
    assert first.conversation is not None
    assert first.conversation.category is ConversationCategory.SERVICE
    assert first.conversation.expiration is not None
    assert second.conversation is not None
    assert second.conversation.expiration is None
    assert (third.pricing, third.conversation) == (None, None)


def test_a_failed_status_has_no_contacts_as_pywa_wants_them(
    client: Pywa, caplog: pytest.LogCaptureFixture
) -> None:
    client.meta.faults(failed_code=131026)
    client.client.send_message(ANA, "hi")
    (received,) = client.delivered()
    before = len(client.read)
    assert client.client.webhook_update_handler(received.body) == ("ok", 200)
    assert len(client.read) == before
    (record,) = [one for one in caplog.records if one.exc_info is not None]
    assert repr(record.exc_info[1]) == "KeyError('contacts')"  # type: ignore[index]


def test_what_is_decided_about_templates(client: Pywa) -> None:
    template_id = str(
        client.client.create_template(
            CASES["names"].template("names", t.TemplateLanguage.SPANISH)
        ).id
    )
    approved = client.told(t.TemplateStatusUpdate)
    assert approved.id == FIRST.waba_id
    assert (approved.new_status, approved.template_id) == (t.TemplateStatus.APPROVED, template_id)
    assert (approved.template_name, approved.category) == ("names", t.TemplateCategory.UTILITY)
    assert approved.reason is t.TemplateRejectionReason.NONE
    assert approved.template_language is t.TemplateLanguage.SPANISH

    def decide(**decision: str) -> None:
        path = f"/simulator/templates/{template_id}"
        client.meta.http.post(path, json=decision).raise_for_status()

    decide(status="REJECTED", reason="INVALID_FORMAT")
    rejected = client.told(t.TemplateStatusUpdate)
    assert rejected.new_status is t.TemplateStatus.REJECTED
    assert rejected.reason is t.TemplateRejectionReason.INVALID_FORMAT
    decide(status="PAUSED")
    paused = client.told(t.TemplateStatusUpdate)
    assert paused.other_info is not None
    assert paused.other_info.title == "FIRST_PAUSE"
    decide(quality="YELLOW")
    quality = client.told(t.TemplateQualityUpdate)
    assert quality.previous_quality_score is t.QualityScoreType.UNKNOWN
    assert quality.new_quality_score is t.QualityScoreType.YELLOW
    decide(category="MARKETING")
    category = client.told(t.TemplateCategoryUpdate)
    assert category.previous_category is t.TemplateCategory.UTILITY
    assert category.new_category is t.TemplateCategory.MARKETING
    parts = CASES["positions"].parts
    client.client.update_template(template_id, new_components=parts)
    changed, approved_anew = client.delivered()
    components = client.understands(changed, t.TemplateComponentsUpdate)
    header, body, footer, buttons = (part.to_dict() for part in parts)
    assert (components.template_id, components.template_title) == (template_id, header["text"])
    assert (components.template_element, components.template_footer) == (
        body["text"],
        footer["text"],
    )
    named = [
        {key.removeprefix("message_template_button_"): value for key, value in button.items()}
        for button in components.template_buttons or []
    ]
    assert named == [
        {"type": "QUICK_REPLY", "text": "Yes"},
        {"type": "URL", "text": "Go", "url": SHOP + "{{1}}"},
        {"type": "PHONE_NUMBER", "text": "Ring", "phone_number": "+15550001111"},
        {"type": "COPY_CODE"},
    ]
    assert len(named) == len(buttons["buttons"])
    again = client.understands(approved_anew, t.TemplateStatusUpdate)
    assert again.new_status is t.TemplateStatus.APPROVED


def test_who_stops_and_resumes_marketing(client: Pywa) -> None:
    for value in (MarketingPreference.STOP, MarketingPreference.RESUME):
        choice = {"phone_number_id": FIRST.phone_number_id, "marketing": value.value}
        client.meta.http.post("/simulator/phone/ana/preferences", json=choice).raise_for_status()
        read = client.told(UserMarketingPreferences)
        assert (read.value, bool(read)) == (value, value is MarketingPreference.RESUME)
        assert read.detail == f"User requested to {value.value} marketing messages"
        assert (read.from_user.wa_id, read.from_user.bsuid) == (ANA_ID, ANA_USER)
        assert read.metadata.phone_number_id == FIRST.phone_number_id


def do(client: Pywa, deed: str) -> str:
    """Something that Ana does about a call; the call's id."""
    body = {"phone_number_id": FIRST.phone_number_id, "do": deed}
    answer = client.meta.http.post("/simulator/phone/ana/calls", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_call_of_a_person(client: Pywa) -> None:
    call_id = do(client, "call")
    rings = client.told(CallConnect)
    assert (rings.id, rings.direction) == (call_id, CallDirection.USER_INITIATED)
    assert rings.from_user.wa_id == ANA_ID
    assert rings.session is not None
    assert (rings.session.sdp_type, rings.session.sdp[:3]) == ("offer", "v=0")
    assert rings.pre_accept(sdp=ANSWER).success
    assert rings.accept(ANSWER).success
    client.meta.clock.ahead += 30
    do(client, "hang_up")
    ended = client.told(CallTerminate)
    assert (ended.id, ended.status) == (call_id, CallTerminateStatus.COMPLETED)
    assert ended.duration == 30
    assert ended.start_time is not None
    assert ended.end_time is not None
    assert (ended.end_time - ended.start_time).total_seconds() == 30


def test_a_call_of_the_business(client: Pywa) -> None:
    asked = client.client.send_message(ANA, "May we?", buttons=p.CallPermissionRequestButton())
    client.delivered()
    client.meta.play("ana", type="call_permission", response="accept")
    leave = client.told(CallPermissionUpdate)
    assert leave.response is CallPermissionResponse.ACCEPT
    assert leave.reply_to_message is not None
    assert leave.reply_to_message.id == asked.id
    assert leave.expiration_timestamp is not None
    (call,) = client.client.api.initiate_call(
        FIRST.phone_number_id, ANA_ID, None, OFFER.to_dict(), "order-1"
    )["calls"]
    ringing = client.told(CallStatus)
    assert (ringing.id, ringing.status) == (call["id"], CallStatusType.RINGING)
    assert ringing.tracker == "order-1"
    do(client, "decline")
    rejected, ended = client.delivered()
    assert client.understands(rejected, CallStatus).status is CallStatusType.REJECTED
    over = client.understands(ended, CallTerminate)
    assert (over.status, over.direction) == (
        CallTerminateStatus.FAILED,
        CallDirection.BUSINESS_INITIATED,
    )
    assert (over.duration, over.tracker) == (None, "order-1")
