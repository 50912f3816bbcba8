"""Runs of run_ai_agent: asked between two transactions, answered in the one that ends the run.

The question is asked at least once (under the run's id), what the agent says goes out once or not
at all, however often the job was tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from switchboard.automation import engine
from switchboard.automation.actions._kind import AskAgent, Pass, Send
from switchboard.automation.agents import Agent, AgentFailed, AgentReply, AgentRequest
from switchboard.automation.engine import Outcome
from switchboard.automation.facts import Facts, document_of
from switchboard.kernel.db import Connection
from switchboard.kernel.errors import ConfigurationError, ProblemError
from switchboard.outbox import Origin
from switchboard.store import agent_endpoints
from switchboard.store import automations as store
from switchboard.store.agent_endpoints import PURPOSE, Signing
from switchboard.store.automations import OpenRun
from switchboard.tools import Tools
from switchboard.transact import transact


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and of whom; `endpoint` None: there is none of that name."""

    request: AgentRequest
    agent: str
    endpoint: Signing | None


@dataclass(frozen=True, slots=True)
class Failure:
    """The agent did not answer, and nobody asks again."""

    reason: str


def ask(
    tools: Tools, tenant_id: UUID, run_id: UUID, *, last_try: bool
) -> AgentReply | Failure | Literal["ended"]:
    """Ask the agent of a run; ended: somebody has ended it, or there is nothing to ask any more.

    Raises AgentFailed where asking again may help, but for the `last_try`.
    """
    question = transact(
        tools, tenant_id, lambda connection: _question(tools, connection, tenant_id, run_id)
    )
    if question is None:
        return "ended"
    if question.endpoint is None:
        return Failure(f"the agent {question.agent} is not known")
    try:
        agent = _agent(tools, tenant_id, question.endpoint)
        return agent.ask(question.request)
    except AgentFailed as failed:
        if failed.passing and not last_try:
            raise
        return Failure(f"agent: {failed.reason}")


def conclude(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    run_id: UUID,
    answer: AgentReply | Failure | Literal["ended"],
    *,
    last_try: bool,
) -> None:
    """Do what the agent said in the open transaction, and end the run; one that has ended stays."""
    run = store.open_run(connection, tenant_id, run_id, now=tools.clock.now)
    if run is None:
        return
    engine.end(
        tools,
        connection,
        tenant_id,
        run,
        lambda: _outcome(tools, connection, tenant_id, run, answer),
        last_try=last_try,
    )


def _question(
    tools: Tools, connection: Connection, tenant_id: UUID, run_id: UUID
) -> Question | None:
    run = store.open_run(connection, tenant_id, run_id, now=tools.clock.now)
    if run is None:
        return None
    facts = engine.facts_of(run)
    try:
        wanted = _wanted(run, facts)
    except (Pass, ProblemError):
        return None  # the rule or the facts are others by now; the run is ended with the reason
    request = AgentRequest(
        id=run.id,
        tenant_id=tenant_id,
        rule_id=run.rule_id,
        occurrence=run.occurrence,
        instruction=wanted.instruction,
        **document_of(facts),
    )
    endpoint = agent_endpoints.find_named(connection, tenant_id, wanted.agent, now=tools.clock.now)
    return Question(request, wanted.agent, endpoint)


def _outcome(
    tools: Tools,
    connection: Connection,
    tenant_id: UUID,
    run: OpenRun,
    answer: AgentReply | Failure | Literal["ended"],
) -> Outcome:
    # Hours may have gone by: a trip that was called off meanwhile gets no word of an agent's.
    facts = engine.facts_of(run)
    wanted = _wanted(run, facts)
    if answer == "ended":
        raise Pass("not so any more")
    if isinstance(answer, Failure):
        return Outcome("failed", answer.reason)
    assert isinstance(answer, AgentReply)
    # Others of the rule may have ended while the agent thought.
    engine.check_person(tools, connection, tenant_id, run, facts)
    message = answer.message
    if message is None:
        return Outcome("done", result={"said": "nothing"})
    sent = engine.send(
        tools,
        connection,
        tenant_id,
        run,
        Send(
            contact_id=wanted.contact_id,
            message=message,
            phone_number_id=wanted.phone_number_id,
            category=wanted.category,
            notification_category=wanted.notification_category,
            expires_in=wanted.expires_in,
        ),
        origin=Origin.AI_AGENT,
    )
    said: dict[str, Any] = {"said": message["type"]}
    return Outcome(sent.status, sent.reason, said, sent.message_id)


def _wanted(run: OpenRun, facts: Facts) -> AskAgent:
    wanted = engine.consider(run, facts)
    if not isinstance(wanted, AskAgent):
        raise Pass("not so any more")
    return wanted


def _agent(tools: Tools, tenant_id: UUID, endpoint: Signing) -> Agent:
    # httpx is heavy, and only this needs it.
    from switchboard.automation.agent_http import HttpAgent

    sealed = [endpoint.secret_sealed, endpoint.secret_previous_sealed]
    try:
        secrets = [
            tools.sealer.unseal(one, tenant_id=tenant_id, purpose=PURPOSE)
            for one in sealed
            if one is not None
        ]
    except ConfigurationError:
        raise AgentFailed("secret_unreadable", passing=True) from None
    return HttpAgent(tools.outside, endpoint.url, secrets, now=tools.clock.wall())
