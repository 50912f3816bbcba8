"""The one road of everything that goes out: policy -> reserve -> intent -> transmit -> settle.

A service's request (`send`, `send_many`), what a job or a chatbot says (`queue`), and what became
due (`run_due`) take it alike; `rehearse` and `foresee` only decide; `sweep` puts right what a dead
worker left. Whoever sends elsewhere than through here can lose or double a message.
"""

from switchboard.outbox.answers import Answer
from switchboard.outbox.due import Counts, next_in, run_due, sweep
from switchboard.outbox.find import find
from switchboard.outbox.foresee import foresee
from switchboard.outbox.outgoing import Origin, Outgoing
from switchboard.outbox.queue import queue
from switchboard.outbox.receipts import mark_read
from switchboard.outbox.rehearse import rehearse
from switchboard.outbox.send import send, send_many

__all__ = [
    "Answer",
    "Counts",
    "Origin",
    "Outgoing",
    "find",
    "foresee",
    "mark_read",
    "next_in",
    "queue",
    "rehearse",
    "run_due",
    "send",
    "send_many",
    "sweep",
]
