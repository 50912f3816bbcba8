"""Automations: rules that start something when it is due or when somebody outside says so.

`evaluate` takes what is due, `start` is told by others, `perform` does what a run is for; rules are
written through `automation.rules`.
"""

from switchboard.automation.due import evaluate
from switchboard.automation.engine import perform
from switchboard.automation.outside import OutsideEvent, start

__all__ = ["OutsideEvent", "evaluate", "perform", "start"]
