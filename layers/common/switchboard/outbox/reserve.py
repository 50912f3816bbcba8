"""Policy and reserve: decides each message and stores it, with its attempt where it may go out.

One round trip asks, one commits. What cannot be stored (an unknown number, a key in use) is
answered at once and leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from switchboard.kernel import phones
from switchboard.kernel.clock import uuid7
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import Conflict, Forbidden, NotFound, ProblemError, Unprocessable
from switchboard.outbox.answers import Answer, of_message, of_problem
from switchboard.outbox.facts import of_question
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.ready import Ready, lasts_s
from switchboard.outbox.timing import LEASE_S, SLICE
from switchboard.outbox.wire import EXTRAS, extras
from switchboard.policy import (
    Allowed,
    Deferred,
    Denied,
    Kind,
    Verdict,
    decide,
)
from switchboard.policy.gates.key import URGENT
from switchboard.policy.verdict import document, due_at
from switchboard.store import outbox as store
from switchboard.store.outbox import Asked, Reserved
from switchboard.tools import Tools

#: Runs a function on a connection: in a commit of its own, or in the caller's transaction.
Runner = Callable[[Callable[[Connection], Any]], Any]


@dataclass(slots=True)
class Reservation:
    """What became of the messages of one call, by their index.

    `answers`: settled without a request to Meta. `unfinished`: the key was taken by a request whose
    answer does not stand yet; the message is its. `sending` is under intent, `leased` waits under
    our lease, `blocked` waits behind an earlier message of its lane.
    """

    answers: dict[int, Answer] = field(default_factory=dict)
    unfinished: dict[int, UUID] = field(default_factory=dict)
    messages: dict[int, Ready] = field(default_factory=dict)
    sending: list[Ready] = field(default_factory=list)
    leased: list[Ready] = field(default_factory=list)
    blocked: list[Ready] = field(default_factory=list)


@dataclass(slots=True)
class _Plan:
    """A message that is going to be stored."""

    ready: Ready
    row: dict[str, Any]
    answer: Answer | None


def reserve(
    tools: Tools,
    run: Runner,
    tenant_id: UUID,
    items: Sequence[Outgoing],
    *,
    token: UUID,
    scopes: frozenset[str] | None = None,
    lease: bool = True,
) -> Reservation:
    """Decide and store `items`; lease to `token` what may go out now, unless `lease` is False.

    A key that is taken between asking and storing is looked up again, so the loser of a race is
    answered like any later request.
    """
    reserver = _Reserver(tools, run, tenant_id, items, token, scopes, lease)
    todo = reserver.first_of_keys()
    for _ in range(3):
        if not todo:
            break
        todo = reserver.round(todo)
    for n in todo:
        reserver.made.answers[n] = of_problem(_in_flight())
    return reserver.made


def judge(
    tools: Tools,
    run: Runner,
    tenant_id: UUID,
    item: Outgoing,
    *,
    scopes: frozenset[str] | None = None,
) -> dict[str, Any]:
    """Return the decision that `reserve` would store with `item`, storing nothing.

    The item's key is not asked about. Raises what a caller is told where nothing can be stored.
    """
    now = tools.clock.now
    item = replace(item, key=None)
    document = orjson.dumps([question(0, item)]).decode()
    asked: Sequence[Asked] = run(lambda conn: store.ask(conn, tenant_id, document, now))
    decision = weigh(tools, tenant_id, item, asked[0], scopes=scopes).decision
    assert decision is not None
    return decision[0]


def weigh(
    tools: Tools,
    tenant_id: UUID,
    item: Outgoing,
    asked: Asked,
    *,
    scopes: frozenset[str] | None = None,
) -> Ready:
    """Return what `reserve` would store of an item without a key, its decision with it.

    Raises what a caller is told where nothing can be stored.
    """

    def nothing(_: Callable[[Connection], Any]) -> Any:
        raise AssertionError("what is only weighed asks nothing more")

    one = replace(asked, n=0)
    plan = _Reserver(tools, nothing, tenant_id, [item], uuid7(), scopes, lease=False).decide(one)
    if plan is None or not plan.ready.decision:
        raise AssertionError("without a key there is a decision")
    return plan.ready


@dataclass(slots=True)
class _Reserver:
    """One call of `reserve`."""

    tools: Tools
    run: Runner
    tenant_id: UUID
    items: Sequence[Outgoing]
    token: UUID
    scopes: frozenset[str] | None
    lease: bool
    made: Reservation = field(default_factory=Reservation)

    def first_of_keys(self) -> list[int]:
        """Return the indexes to decide: of one key used twice in a call, the first."""
        first: dict[str, Outgoing] = {}
        todo = []
        for n, item in enumerate(self.items):
            known = first.setdefault(item.key, item) if item.key is not None else item
            if known is item:
                todo.append(n)
            else:
                same = known.sha256 == item.sha256
                self.made.answers[n] = of_problem(_in_flight() if same else _other_body())
        return todo

    def round(self, todo: list[int]) -> list[int]:
        """Decide and store the items of `todo`; return those whose key was taken meanwhile."""
        now = self.tools.clock.now
        questions = orjson.dumps([question(n, self.items[n]) for n in todo]).decode()
        plans: dict[int, _Plan] = {}
        for asked in self.run(
            lambda connection: store.ask(connection, self.tenant_id, questions, now)
        ):
            try:
                plan = self.decide(asked)
            except ProblemError as error:
                self.made.answers[asked.n] = of_problem(error)
            else:
                if plan is not None:
                    plans[asked.n] = plan
        if not plans:
            return []
        rows = [plans[n].row for n in sorted(plans)]
        _mark(rows, lease=self.lease)
        text = orjson.dumps(rows).decode()
        stored = self.run(
            lambda connection: store.reserve(
                connection, self.tenant_id, self.token, text, lease_s=LEASE_S, now=now
            )
        )
        return self._note(plans, sorted(stored, key=lambda row: row.n))

    def _note(self, plans: dict[int, _Plan], stored: Sequence[Reserved]) -> list[int]:
        taken = []
        for row in stored:
            plan = plans[row.n]
            if not row.reserved:
                taken.append(row.n)
                continue
            plan.ready.contact_id = row.contact_id
            plan.ready.decision = row.decision
            self.made.messages[row.n] = plan.ready
            if plan.answer is not None:
                self.made.answers[row.n] = plan.answer
            elif row.status == "denied" or _is_held(row):
                self.made.answers[row.n] = of_message(
                    plan.ready.message_id, row.status, decision=row.decision or ()
                )
            elif not row.leased:
                self.made.blocked.append(plan.ready)
            elif plan.row["state"] == "sending":
                self.made.sending.append(plan.ready)
            else:
                self.made.leased.append(plan.ready)
        return taken

    def decide(self, asked: Asked) -> _Plan | None:
        """Return what is to be stored, None where the key has answered.

        Raises what the caller is told where nothing is stored.
        """
        item = self.items[asked.n]
        if asked.key_sha256 is not None:
            _replay(item, asked, self.made)
            return None
        if asked.account_id is None or asked.phone_number_id is None:
            raise NotFound("this number is not known", field="from")
        if item.contact_id is not None and asked.contact_id is None:
            raise NotFound("this contact is not known", field="to")
        recipient, recipient_kind = _recipient(item, asked)
        stored = asked.template or {}
        kind = item.kind(stored.get("category"))
        if kind is Kind.AUTHENTICATION and not stored.get("category") and not self._may_be_urgent():
            # Only the caller says that it is a code, and a code passes opt-outs.
            kind = Kind.UTILITY
        if item.urgent and kind is Kind.MARKETING:
            raise Unprocessable("marketing cannot be urgent", field="urgent")
        warnings = (*item.warnings, *_misfits(item, stored))
        facts = of_question(
            asked,
            kind,
            recipient=recipient,
            urgent=item.urgent,
            notification_category=item.notification_category,
            expires_at=item.expires_at,
            confirms_consent=item.confirms_consent,
            scopes=self.scopes,
            allow_list=self.tools.settings.recipient_allow_list,
        )
        verdict = decide(facts, kind)
        if isinstance(verdict, Denied) and verdict.findings.get("key") not in {None, "allowed"}:
            raise Forbidden(verdict.hint)
        entry = document(verdict, at=asked.at, attempt=1, kind=kind)
        if warnings:
            entry["warnings"] = list(warnings)
        new_id = self.tools.clock.new_id
        ready = Ready(
            tenant_id=self.tenant_id,
            message_id=new_id(),
            attempt=1,
            account_id=asked.account_id,
            contact_id=asked.contact_id or new_id(),
            phone_number_id=asked.phone_number_id,
            access_token=asked.access_token,
            kind=kind,
            recipient=recipient,
            recipient_kind=recipient_kind,
            message_type=item.type,
            content=item.content,
            context=item.context,
            extras=extras(item.message),
            idempotency_key=item.key,
            decision=[entry],
            lasts_s=lasts_s(
                asked.at,
                kind,
                expires_at=item.expires_at,
                window_expires_at=asked.window_expires_at,
            ),
            outside=kind is not Kind.REPLY and not facts.window_open,
            template_id=stored.get("id"),
            priority=item.priority(kind),
        )
        answer = _known_answer(ready, verdict)
        row = _row(item, asked, ready, verdict)
        # A code is nobody's to read in a list.
        row["preview"] = item.preview if kind is Kind.AUTHENTICATION else _preview(item, stored)
        if kind is Kind.MARKETING and facts.person is not None and facts.person.cap is not None:
            row["cap"], row["cap_hours"] = facts.person.cap, facts.person.cap_hours
        row["new_conversation"] = asked.conversation_id or new_id()
        if item.key is not None:
            row["key"] = item.key
            row["sha256"] = item.sha256.hex()
            row["answer"] = None if answer is None else answer.stored()
        return _Plan(ready, row, answer)

    def _may_be_urgent(self) -> bool:
        return self.scopes is None or URGENT in self.scopes


def _is_held(row: Reserved) -> bool:
    """Whether a limit holds it longer than a caller waits; a number's bucket fills in a moment."""
    latest = row.decision[-1] if row.decision else {}
    return latest.get("reason") in {"pair_limit", "portfolio_limit"}


def question(n: int, item: Outgoing) -> dict[str, Any]:
    """Return one member of p_items of messaging.ask_sends."""
    asked: dict[str, Any] = {"n": n, "from": item.phone_number_id}
    if item.phone is not None:
        asked["phone"] = phones.national_variant(item.phone)
    else:
        asked["contact"] = item.contact_id
    if item.key is not None:
        asked["key"] = item.key
    if item.template is not None:
        asked["template"], asked["language"] = item.template
    return asked


def _replay(item: Outgoing, asked: Asked, made: Reservation) -> None:
    """Answer from the key's row: the stored answer, or what tells that the first still runs."""
    if asked.key_sha256 != item.sha256:
        raise _other_body()
    if asked.key_answer is not None:
        made.answers[asked.n] = Answer(asked.key_answer["status"], asked.key_answer["body"])
    elif asked.key_lease_until is not None and asked.key_lease_until > asked.at:
        raise _in_flight()
    elif asked.key_message_id is not None:
        made.unfinished[asked.n] = asked.key_message_id


def _misfits(item: Outgoing, stored: dict[str, Any]) -> tuple[str, ...]:
    """Hold a template's parameters against the stored definition.

    Returns warnings; raises InvalidMessage (422) that names the field where Meta would refuse it.
    """
    if not stored.get("components"):
        return ()
    # Templates alone pay for it.
    from switchboard.whatsapp.templates import Definition, check

    return check(Definition.of(stored), item.message)


def _preview(item: Outgoing, stored: dict[str, Any]) -> str:
    """Return what an inbox shows of the message: of a known template what the person reads."""
    if not stored.get("components"):
        return item.preview
    from switchboard.whatsapp.templates import Definition, render

    return render(Definition.of(stored), item.message).text or item.preview


def _recipient(item: Outgoing, asked: Asked) -> tuple[str, str]:
    if item.phone is not None:
        return item.phone, "phone"
    if asked.known_phone is not None:
        return asked.known_phone, "phone"
    if asked.known_user_id is not None:
        return asked.known_user_id, "user_id"
    raise Unprocessable("the contact has neither a phone number nor a user id", field="to")


def _known_answer(ready: Ready, verdict: Verdict) -> Answer | None:
    match verdict:
        case Denied():
            return of_message(ready.message_id, "denied", decision=ready.decision or ())
        case Deferred():
            return of_message(ready.message_id, "pending", decision=ready.decision or ())
        case Allowed():
            return None


def _row(item: Outgoing, asked: Asked, ready: Ready, verdict: Verdict) -> dict[str, Any]:
    """Return one member of p_items of messaging.reserve_sends (messaging.outgoing)."""
    row: dict[str, Any] = {
        "n": asked.n,
        "id": ready.message_id,
        "account": ready.account_id,
        "contact": asked.contact_id,
        "type": ready.message_type,
        "content": ready.content,
        "origin": item.origin,
        "kind": ready.kind,
        "priority": ready.priority,
        "recipient": ready.recipient,
        "recipient_kind": ready.recipient_kind,
        "decision": ready.decision,
        "state": "denied" if isinstance(verdict, Denied) else "pending",
        "lease": isinstance(verdict, Allowed),
    }
    if asked.contact_id is None:
        row["new_contact"] = ready.contact_id
        row["phone"] = phones.national_variant(ready.recipient)
    if isinstance(verdict, Deferred):
        row["due_at"] = due_at(verdict)
    metadata = dict(item.metadata or {})
    if ready.extras is not None:
        metadata[EXTRAS] = ready.extras
    optional = {
        "context": item.context,
        "metadata": metadata or None,
        "origin_id": item.origin_id,
        "category": (asked.template or {}).get("category") or item.category,
        "notification_category": item.notification_category,
        "urgent": item.urgent or None,
        "expires_at": item.expires_at,
        "template": (asked.template or {}).get("id"),
        "effects": item.effects or None,
        "outside": ready.outside or None,
    }
    row.update((name, value) for name, value in optional.items() if value is not None)
    return row


def _mark(rows: list[dict[str, Any]], *, lease: bool) -> None:
    """The first slice is stored as intent at once: it goes out right after the commit."""
    room = SLICE
    for row in rows:
        row["lease"] = row["lease"] and lease
        if row["lease"] and room:
            row["state"] = "sending"
            room -= 1


def _in_flight() -> Conflict:
    return Conflict(
        "the first request with this idempotency key is still running",
        headers={"retry-after": "1"},
    )


def _other_body() -> Conflict:
    return Conflict("this idempotency key was used with another body", field="idempotency_key")
