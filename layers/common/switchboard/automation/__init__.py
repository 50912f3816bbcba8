"""Automations: rules that start something when it is due or when somebody outside says so."""

from switchboard.automation.outside import start

__all__ = ["start"]
