"""How long things take, in one place: client timeout < lease < what is left of the function."""

from __future__ import annotations

from switchboard.whatsapp.client import LONGEST_S, THREADS

#: Seconds that one request to Meta may take at worst, connect and read together.
REQUEST_S = LONGEST_S
#: Seconds of a lease, renewed by the intent: longer than a slice can take, shorter than anybody
#: wants to wait for a dead worker's messages.
LEASE_S = 30.0
#: Seconds kept for the commits after the last request.
MARGIN_S = 3.0
#: Seconds in which a caller's request starts slices; then it answers, and process_jobs goes on.
CALLER_S = 10.0
#: Seconds for which a caller waits for an earlier message of the same conversation to go out.
LANE_S = 3.0
#: Attempts under intent at once, and threads: a dead worker puts at most these in doubt.
SLICE = THREADS
#: Attempts that are settled at once while others wait: the rest of the slice is on the wire then.
HALF = SLICE // 2
#: Seconds that an answer waits for others to be settled with it, while attempts wait for its place,
#: and while none do.
GATHER_S, REST_S = 0.005, 0.05
#: Seconds of silence after which a worker looks whether more is due, however slow Meta is.
LOOK_S = 0.02
#: Attempts that a worker leases at once: few, since whoever comes new waits for those before.
CLAIM = HALF
#: Seconds for which a worker waits for what is due next; longer is the next tick's business.
SOON_S = 10.0
#: Attempts of one tenant that a sweep moves at once.
SWEEP = 1000
#: Transmissions that provably sent nothing before the message is given up.
TRIES = 8
#: Back-off: full jitter below BASE * 2 ** tries seconds, capped (reliability: base 2 s, 15 min).
BACKOFF_BASE_S, BACKOFF_CAP_S = 2.0, 900.0
#: Seconds after which a message that waits with a paused number or account looks again at most:
#: while the pause lasts nothing is claimed, and when it is lifted nothing waits long.
HOLD_CAP_S = 60.0
#: Seconds after which an attempt that could not be decided (a fault of ours) is looked at again.
UNDECIDED_S = 900.0
