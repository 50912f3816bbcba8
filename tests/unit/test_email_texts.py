"""What a mail is made of: addresses, texts with values, the request that SES gets, its events."""

from __future__ import annotations

import itertools
from dataclasses import replace
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.mail import Refusal, Ses, check, events_of
from switchboard.kernel.email_address import check_address
from switchboard.mail.render import Missing, TooLong, names_in, render
from switchboard.ses.client import (
    Later,
    Letter,
    Refused,
    Unconfirmed,
    of_error,
    request_of,
)
from switchboard.ses.events import Odd, read

LETTER = Letter(
    sender="trips@acme.example",
    sender_name='Acme, \u00c4\u00f6 "Trips"',
    reply_to=None,
    to="ana@b.example",
    subject="Hello",
    text="Hello",
    html=None,
    unsubscribe=None,
    one_click=False,
    tags={"switchboard_email": "1"},
)


@given(st.text(), st.text())
def test_whatever_a_value_is_the_subject_is_one_printable_line(value: str, other: str) -> None:
    subject = render("Hi {{a}}, {{b}}", "-", None, {"a": value, "b": other}).subject
    assert all(character.isprintable() for character in subject)
    assert len(subject) <= 500


@given(st.text())
def test_whatever_a_value_is_html_has_no_tag_more(value: str) -> None:
    html = render("-", "-", '<a title="{{a}}">{{a}}</a>', {"a": value}).html or ""
    assert html.count("<") == html.count(">") == 2
    assert html.count('"') == 2
    assert "'" not in html


@given(st.text())
def test_an_address_is_one_address(text: str) -> None:
    for whole in (text, f"{text}@b.example", f"ana@{text}"):
        try:
            address = check_address(whole)
        except ValueError:
            continue
        assert address.isascii()
        assert address.isprintable()
        assert not set(address) & set(' ,;:<>()[]"\\')
        assert address.count("@") == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ana",
        "@b.example",
        "ana@",
        "ana@b",
        "a b@c.example",
        "ana@b..example",
        "a@b.example,c@d.e",
        ".a@b.example",
        "a.@b.example",
        f"{'a' * 65}@b.example",
        "ana@-b.example",
        "\u00e4@b.example",
        # Another's domain, by the older rules (strasse).
        "ana@stra\u00dfe.example",
        "ana@\u03c3\u03b1\u03c2.example",
    ],
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="e-mail address"):
        check_address(text)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Ana.Ruiz+x@B.Example", "Ana.Ruiz+x@b.example"),
        ("o'hara@b.example", "o'hara@b.example"),
        (" ana@b\u00fcro.example ", "ana@xn--bro-hoa.example"),
    ],
)
def test_an_address_goes_out_as_ses_takes_it(text: str, address: str) -> None:
    assert check_address(text) == address


def test_a_parameter_that_is_not_given_is_missing_and_a_place_has_a_name() -> None:
    with pytest.raises(Missing, match="who"):
        render("Hi {{ who }}", "-", None, {})
    assert names_in("{{a}} {{ b }}", None, "{{a}}") == {"a", "b"}
    with pytest.raises(ValueError, match="small letters"):
        names_in("{{A b}}")


def test_values_make_no_mail_without_end() -> None:
    places = "{{a}}" * 1000
    assert len(render("-", places, places, {"a": "&" * 99}).text) == 99_000
    with pytest.raises(TooLong):
        render("-", "-", places, {"a": "&" * 101})


def test_a_sender_s_name_is_quoted_and_a_link_is_a_header() -> None:
    made = request_of(LETTER, None)
    assert made["FromEmailAddress"] == "=?utf-8?b?QWNtZSwgw4TDtiAiVHJpcHMi?= <trips@acme.example>"
    assert "ReplyToAddresses" not in made
    assert "ConfigurationSetName" not in made
    assert set(made["Content"]["Simple"]["Body"]) == {"Text"}
    check(made)
    # However long it is, each of its words is one that mail programs take (RFC 2047).
    name = "\u65c5\u884c\u4f1a\u793e" * 25
    sender = request_of(replace(LETTER, sender_name=name), None)["FromEmailAddress"]
    *words, address = sender.split(" ")
    assert max(map(len, words)) <= 75
    assert str(make_header(decode_header(" ".join(words)))) == name
    assert address == "<trips@acme.example>"


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("TooManyRequestsException", 429, Later),
        ("Throttling", 400, Later),
        ("", 429, Later),
        ("LimitExceededException", 400, Later),
        ("SendingPausedException", 400, Later),
        ("UnrecognizedClientException", 403, Later),
        ("SomethingNew", 403, Later),
        ("MessageRejected", 400, Refused),
        ("AccountSuspendedException", 400, Refused),
        ("MailFromDomainNotVerifiedException", 400, Refused),
        ("NotFoundException", 404, Refused),
        ("BadRequestException", 400, Refused),
        ("InternalFailure", 500, Unconfirmed),
        ("ServiceUnavailable", 503, Unconfirmed),
        ("", 302, Unconfirmed),
        ("", 0, Unconfirmed),
    ],
)
def test_each_of_ses_s_answers_has_a_meaning(code: str, status: int, kind: type) -> None:
    answer = of_error(
        {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    )
    assert isinstance(answer, kind)
    if isinstance(answer, Later):
        assert answer.held is (status in {401, 403} or code == "SendingPausedException")


@pytest.mark.parametrize(
    ("to", "kinds"),
    [
        ("success@simulator.amazonses.com", ["sent", "delivered"]),
        ("bounce+7@simulator.amazonses.com", ["sent", "bounced"]),
        ("complaint@simulator.amazonses.com", ["sent", "delivered", "complained"]),
        ("suppressionlist@simulator.amazonses.com", ["sent", "bounced"]),
        ("bounce@acme.example", ["sent", "delivered"]),
    ],
)
def test_the_stand_in_knows_the_mailbox_simulator(to: str, kinds: list[str]) -> None:
    tags = {
        "switchboard_tenant": "0d5f3c1e-0000-4000-8000-000000000001",
        "switchboard_email": "0d5f3c1e-0000-4000-8000-000000000002",
    }
    letter = Letter(**{**{n: getattr(LETTER, n) for n in Letter.__slots__}, "to": to, "tags": tags})
    heard: list[dict[str, object]] = []
    ses = Ses(publish=heard.append)
    mail = request_of(letter, "set")
    message_id = ses.take(mail)
    told = [read(event) for event in events_of(ses.mails[0])]
    assert [one.document["kind"] for one in told] == kinds
    assert {str(one.tenant_id) for one in told} == {tags["switchboard_tenant"]}
    assert {one.document["ses_message_id"] for one in told} == {message_id}
    suppress = {one.document["kind"]: one.document["suppress"] for one in told}
    assert suppress.get("bounced", "bounce") == "bounce"
    assert suppress.get("complained", "complaint") == "complaint"


@pytest.mark.parametrize(
    "wrong",
    [
        {"FromEmailAddress": "none"},
        {"Destination": {"ToAddresses": []}},
        {"EmailTags": [{"Name": "a b", "Value": "x"}]},
        {"Content": {"Simple": {"Subject": {"Data": "a\nb"}, "Body": {"Text": {"Data": "x"}}}}},
    ],
)
def test_the_stand_in_refuses_what_ses_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(Refusal):
        check({**request_of(LETTER, "set"), **wrong})


def test_a_time_without_a_zone_is_none_and_the_next_one_counts() -> None:
    tags = {
        "switchboard_tenant": ["0d5f3c1e-0000-4000-8000-000000000001"],
        "switchboard_email": ["0d5f3c1e-0000-4000-8000-000000000002"],
    }
    times = ("2031-03-03T12:00:00", "nonsense", None, 7)
    event: dict[str, object] = {}
    for first, second in itertools.product(times, times):
        event = {
            "source": "aws.ses",
            "time": "2031-03-03T12:00:09Z",
            "detail": {
                "eventType": "Delivery",
                "delivery": {"timestamp": first},
                "mail": {"tags": tags, "timestamp": second},
            },
        }
        assert read(event).document["occurred_at"] == "2031-03-03T12:00:09+00:00"
    with pytest.raises(Odd, match="no time"):
        read({**event, "time": None})
