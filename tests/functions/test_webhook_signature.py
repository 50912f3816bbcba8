"""POST /webhook: only what Meta signed is looked at; forged requests leave no trace and no 5xx."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

import pytest

from switchboard.whatsapp import signature
from switchboard.whatsapp.signature import sign
from tests.databases import ClonedDatabase
from tests.deliveries import (
    SECRET,
    Environment,
    Json,
    MetaSecret,
    Person,
    Place,
    Stopwatch,
    message,
    pack,
    post_event,
    report,
    seed,
)

LIMIT = 4_000_000
ANA = Person("4915551234567", name="Ana")
HEADER = "x-hub-signature-256"
#: Where no database is. A body without events needs none: past the signature it is answered 200.
NOWHERE = "postgresql://app@127.0.0.1:1/none"
BODY = b'{"object":"whatsapp_business_account","entry":[]}'


@pytest.fixture
def place(database: ClonedDatabase) -> Iterator[Place]:
    place = Place(database)
    yield place
    place.close()


@pytest.fixture
def body(place: Place) -> bytes:
    return pack([message(place.number(), "wamid.signed", ANA)])


def test_a_good_signature_is_stored_however_the_event_is_written(place: Place) -> None:
    number, environment = place.number(), place.environment()
    ways = [
        (name, as_base64)
        for name in (HEADER, "X-Hub-Signature-256", "X-HUB-SIGNATURE-256")
        for as_base64 in (False, True)
    ]
    for n, (name, as_base64) in enumerate(ways):
        body = pack([message(number, f"wamid.{n}", ANA, content={"body": "Grüße 👋"})])
        event = post_event(body, headers={name: sign(body, SECRET)}, as_base64=as_base64)

        answer = environment.ask(event)

        assert (answer["statusCode"], answer["body"]) == (200, "")
    texts = place.rows("select content->>'body' from messaging.whatsapp_messages")
    assert texts == [("Grüße 👋",)] * len(ways)


def test_the_body_is_checked_as_the_bytes_that_came(place: Place) -> None:
    # Not what orjson would write again: spaces, an escape, a key twice.
    number = place.number()
    neat = pack([message(number, "wamid.1", ANA)]).decode()
    raw = neat.replace('"object":', '"object" :  "x", "object":').replace(
        "text of", "text\\u0020of"
    )
    assert place.environment().post(raw.encode()) == 200
    assert place.count("whatsapp_messages") == 1


def test_the_previous_secret_still_counts_and_is_noticed(
    place: Place, body: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    meta = MetaSecret({"app_secret": "new", "app_secret_previous": SECRET})

    assert place.environment(meta=meta).post(body) == 200

    assert place.count("whatsapp_messages") == 1
    assert "webhook.signed_with_previous_secret" in capfd.readouterr().out


def test_a_rotated_secret_is_read_again_at_most_once_in_ten_seconds(
    place: Place, body: bytes
) -> None:
    meta, stopwatch = MetaSecret(), Stopwatch()
    environment = place.environment(meta=meta, stopwatch=stopwatch)
    assert environment.post(body) == 200
    assert (meta.reads, meta.fresh_reads) == (1, 0)

    meta.value = {"app_secret": "rotated"}
    assert environment.post(body, secret="rotated") == 200
    assert meta.fresh_reads == 1
    for _ in range(50):
        assert environment.post(body, secret="forged") == 401
    assert meta.fresh_reads == 1

    # Forged ones must not eat the read that a second rotation needs for longer than ten seconds.
    meta.value = {"app_secret": "rotated again"}
    stopwatch.seconds += 9.9
    assert environment.post(body, secret="rotated again") == 401
    stopwatch.seconds += 0.2
    assert environment.post(body, secret="rotated again") == 200
    assert meta.fresh_reads == 2


def test_without_a_header_the_secret_is_not_read_again(place: Place, body: bytes) -> None:
    meta = MetaSecret()
    environment = place.environment(meta=meta)

    assert environment.ask(post_event(body, secret=None))["statusCode"] == 401
    assert meta.fresh_reads == 0


def _forged(good: str) -> dict[str, dict[str, str]]:
    hex_digits = good.removeprefix("sha256=")
    flipped = f"{int(hex_digits[:1], 16) ^ 1:x}{hex_digits[1:]}"
    return {
        "no header": {},
        "empty": {HEADER: ""},
        "prefix only": {HEADER: "sha256="},
        "sha1 only": {"x-hub-signature": f"sha1={'0' * 40}"},
        "sha256 in the sha1 header": {"x-hub-signature": good},
        "sha1 prefix": {HEADER: f"sha1={hex_digits}"},
        "no prefix": {HEADER: hex_digits},
        "upper-case prefix": {HEADER: f"SHA256={hex_digits}"},
        "upper-case hex": {HEADER: f"sha256={hex_digits.upper()}"},
        "truncated": {HEADER: good[:-1]},
        "longer": {HEADER: good + "0"},
        "space in front": {HEADER: f" {good}"},
        "twice, as API Gateway joins it": {HEADER: f"{good},{good}"},
        "flipped bit": {HEADER: f"sha256={flipped}"},
        "not ASCII": {HEADER: good.replace("a", "а")},
        "lone surrogate": {HEADER: "\ud800" + good},
        "other secret": {HEADER: sign(b"", "guess")},
    }


@pytest.mark.parametrize("name", list(_forged(sign(b"", ""))))
def test_a_forged_signature_is_refused(name: str) -> None:
    event = post_event(BODY, headers=_forged(sign(BODY, SECRET))[name])

    assert Environment(NOWHERE).ask(event)["statusCode"] == 401


def test_what_is_not_forged_gets_past_the_signature() -> None:
    # The control of the tests here that run without a database.
    assert Environment(NOWHERE).post(BODY) == 200


@pytest.mark.parametrize(
    "value",
    [{}, {"app_secret": ""}, {"app_secret": None}, {"app_secret": "", "app_secret_previous": ""}],
    ids=str,
)
def test_an_empty_secret_signs_nothing(value: Json) -> None:
    environment = Environment(NOWHERE, meta=MetaSecret(value))

    for secret in ("", "None", SECRET):
        assert environment.post(BODY, secret=secret) == 401


@pytest.mark.parametrize("as_base64", [False, True], ids=["text", "base64"])
def test_a_body_over_the_limit_is_refused_before_it_is_hashed(
    monkeypatch: pytest.MonkeyPatch, *, as_base64: bool
) -> None:
    hashed: list[int] = []

    def matching(body: bytes, header: str | None, secrets: Any) -> int | None:
        hashed.append(len(body))
        return None

    monkeypatch.setattr(signature, "matching", matching)
    environment = Environment(NOWHERE)

    for size, expected in ((LIMIT, 401), (LIMIT + 1, 413), (2 * LIMIT, 413)):
        answer = environment.ask(post_event(b"x" * size, as_base64=as_base64))
        assert answer["statusCode"] == expected
    assert set(hashed) == {LIMIT}


def test_a_body_of_many_bytes_in_few_characters_counts_by_its_bytes() -> None:
    assert Environment(NOWHERE).post(("ü" * (LIMIT // 2 + 1)).encode()) == 413


def test_base64_that_is_none_is_a_bad_request() -> None:
    event = post_event(BODY + b" ", as_base64=True)
    for text in ("no base64!", event["body"][:-1], event["body"] + "ü"):
        assert Environment(NOWHERE).ask({**event, "body": text})["statusCode"] == 400


def test_an_event_without_headers_or_body_is_refused() -> None:
    environment = Environment(NOWHERE)
    event = post_event(BODY)
    for part in ("headers", "body"):
        without = {key: value for key, value in event.items() if key != part}
        assert environment.ask(without)["statusCode"] == 401
        assert environment.ask({**event, part: None})["statusCode"] == 401


def test_a_few_hundred_mutations_never_write_a_row_and_never_cause_a_5xx(
    place: Place, body: bytes
) -> None:
    mutate_many(place, body, 400)


@pytest.mark.soak
def test_ten_thousand_mutations_never_write_a_row_and_never_cause_a_5xx(
    place: Place, body: bytes
) -> None:
    report("forged requests", **mutate_many(place, body, 10_000))


def mutate_many(place: Place, body: bytes, count: int) -> dict[str, int]:
    """Ask with `count` mutations of a well signed event; return how many got which answer."""
    chance = random.Random(seed())
    environment = place.environment()
    before = place.snapshot()
    answers: dict[str, int] = {}
    for _ in range(count):
        event = _mutation(chance, body)
        status = environment.ask(event)["statusCode"]
        assert status in {400, 401, 404, 413}, event
        answers[f"answered_{status}"] = answers.get(f"answered_{status}", 0) + 1
    assert place.snapshot() == before
    assert environment.post(body) == 200, "the unchanged event is a good one"
    assert place.count("whatsapp_messages") == 1
    return answers


def _mutation(chance: random.Random, body: bytes) -> Json:
    """Return the event with its body or its signature changed in one of many ways."""
    as_base64 = chance.random() < 0.5
    event = post_event(body, as_base64=as_base64)
    header = event["headers"][HEADER]
    kind = chance.randrange(9)
    if kind == 0:  # a flipped bit of the signature's text
        place = chance.randrange(len(header))
        event["headers"][HEADER] = (
            header[:place]
            + chr(ord(header[place]) ^ 1 << chance.randrange(7))
            + header[place + 1 :]
        )
    elif kind == 1:
        event["headers"][HEADER] = header[: chance.randrange(len(header))]
    elif kind == 2:
        event["headers"][HEADER] = "".join(chr(chance.randrange(1, 0x3000)) for _ in range(71))
    elif kind == 3:
        event["headers"] = {chance.choice(["x-hub-signature", "signature", ""]): header}
    elif kind == 4:
        event["headers"][HEADER] = sign(body, SECRET[:-1] + chr(chance.randrange(32, 126)) + "x")
    elif kind == 5:  # a flipped bit of the body, bytes that are no text included
        changed = bytearray(body)
        changed[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        event["isBase64Encoded"] = True
        event["body"] = base64.b64encode(changed).decode()
    elif kind == 6:
        event["body"] = event["body"][: chance.randrange(len(event["body"]))]
    elif kind == 7:
        event["body"] += chance.choice([" ", "\n", "}", "=", "A", "ü", "\ud800", "\0"])
    else:
        event["isBase64Encoded"] = not as_base64
    return event
