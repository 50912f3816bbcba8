"""E-mails: policy, intent, SES, settled, as messages are, in one row each.

`queue` puts one in and decides it a first time, `attempt` sends it, `take` hears what SES tells.
"""

from switchboard.mail.events import take
from switchboard.mail.queue import Mail, Queued, queue
from switchboard.mail.sending import Attempted, attempt

__all__ = ["Attempted", "Mail", "Queued", "attempt", "queue", "take"]
