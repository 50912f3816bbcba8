"""What must hold of every history (reliability 2.3): what is wrong with a ledger, in words."""

from __future__ import annotations

from collections.abc import Iterator

from tests.crash.cases import Case, Road, Then
from tests.crash.history import Ledger, Sent
from tests.crash.meta import OURS, PASSING, REFUSED, TAKEN, Fault
from tests.crash.webhooks import SILENT_ORDERS, Word, times, top

_OPEN = frozenset({"pending", "sending", "unconfirmed"})
_NOT_SENT = frozenset({"failed", "denied", "expired", "cancelled"})
#: What says aloud that a message may not have arrived.
_ALOUD = _NOT_SENT | {"undetermined"}
#: Seconds for which nothing may be sent.
_WAITS = {Fault.PAIR_FULL: 6, Fault.BUCKET_EMPTY: 4, Fault.NUMBER_PAUSED: 30}
_LADDER = ("undetermined", "accepted", "sent", "failed", "delivered", "read")


def wrongs(case: Case, ledger: Ledger) -> list[str]:
    """Return what is wrong, each with a first word that says of which sort: doubled, lost, stuck,
    hidden (Meta has it and we say that it was not sent), or wrong."""
    found = [wrong for sent in ledger.sent for wrong in _wrongs_of(case, sent)]
    if len(ledger.sent) == 1 and case.prior is None and not case.resend and not found:
        found += _wrong_end(case, ledger)
    if sum(taken.at < ledger.began + _WAITS.get(case.fault, 0) for taken in ledger.sent[0].taken):
        found.append("wrong: sent before the limit allowed it")
    if case.then is not Then.SECOND_LATE and _overtook(ledger.order):
        # Bytes of a worker that stood still beyond its lease leave whenever it wakes up.
        found.append("wrong: a later message of the conversation went first")
    return found


def _wrongs_of(case: Case, sent: Sent) -> Iterator[str]:
    if len(sent.rows) != 1:
        yield f"{'lost' if not sent.rows else 'wrong'}: {len(sent.rows)} rows of one message"
        return
    (row,) = sent.rows
    told = [word for words in sent.told.values() for word in words]
    if len(sent.taken) > 1 and not may_double(case):
        yield "doubled"
    if len({taken.callback_data for taken in sent.taken}) < len(sent.taken):
        yield "wrong: two messages on the phone bear one key"
    if len(set(sent.asked)) > (2 if case.resend else 1):
        yield f"wrong: {len(set(sent.asked))} attempts"
    if sent.attempts_left or row["status"] in _OPEN:
        yield f"stuck: {row['status']}"
    elif not sent.taken and row["status"] not in _ALOUD:
        yield f"lost: {row['status']}"
    elif (
        sent.taken
        and row["status"] in _NOT_SENT
        and top(told) != "failed"
        and not (case.fault in REFUSED and len(sent.taken) < len(set(sent.asked)))
    ):
        yield f"hidden: {row['status']}"
    if not sent.taken and row["status"] == "failed" and case.fault not in REFUSED:
        yield "wrong: failed, and Meta said nothing"
    yield from _wrong_row(sent, told)
    yield from _wrong_logs(sent)
    yield from _wrong_answers(sent)


def may_double(case: Case) -> bool:
    """Whether the policy bets on webhooks that this order does not bring in time."""
    return case.resend and case.watermark and case.webhooks in SILENT_ORDERS


def _wrong_row(sent: Sent, told: list[Word]) -> Iterator[str]:
    """The row shows what was told, whatever the order it came in."""
    (row,) = sent.rows
    known = [word for word in told if not word.bare or row["wa_message_id"] is not None]
    if not known or len(sent.taken) != 1:
        return
    if row["status"] != top(known):
        yield f"wrong: {row['status']} instead of {top(known)}"
    if len(set(sent.asked)) > 1:
        # What Meta said of the other attempt stands there, too.
        return
    if row["wa_message_id"] != sent.taken[0].wa_message_id:
        yield "wrong: not the id that Meta gave"
    for name, at in times(known, sent.taken[0].at).items():
        if row[name] != at:
            yield f"wrong: {name} is {row[name]}"
    codes = [word.code for word in known if word.code is not None]
    if row["error_code"] != (str(min(codes)) if codes else None):
        yield f"wrong: error {row['error_code']}"


def _wrong_logs(sent: Sent) -> Iterator[str]:
    (row,) = sent.rows
    attempts = [attempt for attempt, _ in sent.logs]
    if attempts != list(range(1, len(attempts) + 1)) or not attempts:
        yield f"wrong: logs of the attempts {attempts}"
    keys = {f"{row['id']}.{attempt}" for attempt in attempts}
    if not set(sent.asked) <= keys:
        yield "wrong: a request without the key of its attempt"


def _wrong_answers(sent: Sent) -> Iterator[str]:
    (row,) = sent.rows
    for answer in sent.answers:
        if answer.status == 409:
            continue
        if answer.body.get("id") != str(row["id"]):
            yield "wrong: one key, two messages"
        if answer.status == 200 and not sent.taken:
            yield "lost: a caller was told that Meta has it"


def _wrong_end(case: Case, ledger: Ledger) -> Iterator[str]:
    """The end that the table gives, exactly, of a single message under the default policy."""
    (sent,) = ledger.sent
    taken, own = _expected(case, ledger.trace)
    if len(sent.taken) != taken:
        yield f"wrong: on the phone {len(sent.taken)} times instead of {taken}"
    told = [word for words in sent.told.values() for word in words]
    words = [word.status for word in told if not word.bare or own == "accepted"]
    end = max([own, *words], key=_LADDER.index)
    status = sent.rows[0]["status"]
    if status != end:
        yield f"wrong: {status} instead of {end}"
    if status == "accepted" and sent.rows[0]["error_code"] is not None:
        yield "wrong: what passed is still its error"


def _expected(case: Case, trace: list[str]) -> tuple[int, str]:
    """Return how often the message is on the phone, and what we know without any status."""
    requests = trace.count("after request")
    doubt = _in_doubt(case, trace)
    if doubt is None or case.then is Then.SECOND or case.point is None:
        return _undisturbed(case.fault)
    if case.then is Then.CRASH:
        if doubt == "unasked":
            return 0, "undetermined"
        fault = case.fault if requests == 1 else Fault.NONE
        return int(fault is Fault.NONE or fault in TAKEN), "undetermined"
    # The sweep calls it unconfirmed, then its worker goes on: Meta's id is all that is kept.
    request = requests + (doubt == "unasked")
    fault = case.fault if request == 1 else Fault.NONE
    if fault is Fault.NONE:
        return 1, "accepted"
    return int(fault in TAKEN), "undetermined"


def _undisturbed(fault: Fault) -> tuple[int, str]:
    if fault is Fault.NONE or fault in PASSING:
        return 1, "accepted"
    if fault in REFUSED:
        return 0, "failed"
    return int(fault in TAKEN), "undetermined"


def _in_doubt(case: Case, trace: list[str]) -> str | None:
    """Whether it was disturbed between an intent and its settling, before or after the bytes."""
    doubt: str | None = None
    if case.fault in OURS or len(trace) != case.point:
        return None
    for name in trace:
        if name == "after reserve" and case.road is Road.CALLER:
            doubt = "unasked"
        elif name == "after advance":
            doubt = "unasked" if doubt is None else None
        elif name == "after request":
            doubt = "asked"
    return doubt


def _overtook(order: list[int]) -> bool:
    return 0 in order and 2 in order and order.index(0) > order.index(2)
