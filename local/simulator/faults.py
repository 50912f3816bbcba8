"""The switches that make the simulated Meta misbehave, the way the real one does.

Set by `POST /simulator/faults` with any subset of the fields (the others keep their value), read by
`GET`, all put back by `DELETE`. The phone page offers the same switches.

Graph API (sends only; marking as read is never disturbed except by the delay)
  graph_delay_ms      every answer of the Graph API comes that much later
  graph_fault         none
                      server_error          500 with Graph's 131000, nothing was accepted
                      server_error_after    the same answer, but the message WAS accepted
                      timeout_after         accepted, and never answered
                      html_502              a gateway's HTML page instead of Graph's JSON
                      throttled             400 with 130429: the number's throughput is used up
                      throttled_pair        400 with 131056: too many messages to this person
                      error                 the refusal named by graph_error_code
  graph_error_code    the code for graph_fault "error" (190, 131031, 131048 …)
  graph_fault_times   after so many sends the fault switches itself off; null = until changed
  failed_code         messages are accepted, then fail with this code in a status webhook
                      (131026 undeliverable, 131047 window closed, 131049, 131053 …); null = off
  pair_limit, pair_burst, throughput_limit, throughput_per_second
                      Meta's real limits (see limits.py), on by default
  allowed_recipients  a test number's list: sends to others are refused with 131030; empty = all

Webhooks
  status_gap_ms       pause before `sent` and again before `delivered`; 0 lets them race the answer
  webhook_delay_ms    every webhook leaves that much later
  duplicate           so many extra copies of each webhook, at the same time
  reorder             webhooks of a short while are shuffled
  batch               up to so many updates in one POST (Meta's most is 1000)
  lost_statuses       statuses that never leave: any of sent, delivered, read, failed
  signature           valid; missing, wrong (another secret), sha1 (only the legacy header),
                      tampered (a body changed after signing): the backend must refuse these, and
                      since refused webhooks are sent again, nothing is lost when it is valid again
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

GraphFault = Literal[
    "none",
    "server_error",
    "server_error_after",
    "timeout_after",
    "html_502",
    "throttled",
    "throttled_pair",
    "error",
]
Status = Literal["sent", "delivered", "read", "failed"]
Signature = Literal["valid", "missing", "wrong", "sha1", "tampered"]


class Faults(BaseModel):
    """The switches' positions; the defaults are a healthy Meta. See the module for each."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    graph_delay_ms: int = Field(default=0, ge=0, le=120_000)
    graph_fault: GraphFault = "none"
    graph_error_code: int | None = None
    graph_fault_times: int | None = Field(default=None, ge=1)
    failed_code: int | None = None
    pair_limit: bool = True
    pair_burst: int = Field(default=45, ge=1)
    throughput_limit: bool = True
    throughput_per_second: int = Field(default=80, ge=1)
    allowed_recipients: tuple[str, ...] = ()

    status_gap_ms: int = Field(default=60, ge=0, le=120_000)
    webhook_delay_ms: int = Field(default=0, ge=0, le=120_000)
    duplicate: int = Field(default=0, ge=0, le=20)
    reorder: bool = False
    batch: int = Field(default=1, ge=1, le=1000)
    lost_statuses: tuple[Status, ...] = ()
    signature: Signature = "valid"


class FaultBoard:
    """Holds the current positions and counts down `graph_fault_times`."""

    def __init__(self) -> None:
        self.now = Faults()

    def change(self, changes: dict[str, object]) -> Faults:
        """Apply some positions; raises pydantic's ValidationError and then changes nothing."""
        merged = self.now.model_dump() | changes
        if "graph_fault" in changes and "graph_fault_times" not in changes:
            merged["graph_fault_times"] = None
        self.now = Faults.model_validate(merged)
        return self.now

    def reset(self) -> Faults:
        """A healthy Meta again."""
        self.now = Faults()
        return self.now

    def take_graph_fault(self) -> tuple[GraphFault, int | None]:
        """The fault this send meets and its code; uses up one of `graph_fault_times`."""
        faults = self.now
        if faults.graph_fault == "none":
            return "none", None
        if faults.graph_fault_times is not None:
            left = faults.graph_fault_times - 1
            gone = {"graph_fault": "none", "graph_fault_times": None}
            self.now = faults.model_copy(update=gone if left == 0 else {"graph_fault_times": left})
        return faults.graph_fault, faults.graph_error_code
