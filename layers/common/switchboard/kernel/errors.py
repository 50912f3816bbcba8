"""Every error of Switchboard, as one tree.

SwitchboardError
├── ProblemError           a caller can be told: carries an HTTP status (RFC 9457 problem details)
│   ├── BadRequest         400  the body or a parameter cannot be read
│   ├── Unauthorized       401  no key, unknown key, bad signature
│   ├── Forbidden          403  the key lacks the scope; the verify token is wrong
│   ├── NotFound           404  unknown here, or another tenant's
│   ├── Conflict           409  same Idempotency-Key with another body, or still in flight
│   ├── TooLarge           413  the body is over its limit
│   ├── Unprocessable      422  a field beyond Meta's limits, or a denial by policy
│   ├── TooMany            429  more than is allowed in a time; Retry-After says how long to wait
│   ├── RefusedByMeta      502  Meta answered with an error; the message is kept as failed
│   └── Unavailable        503  the database is away
├── NotJson                     a signed webhook body that is not a JSON object
├── ConfigurationError          a setting, a secret or a file of the deployment is missing or wrong
├── MigrationDrift              an applied migration file was changed or is missing
├── MigrationFailed             a migration's statement failed; its file is rolled back
├── UnknownKind                 a stored name has no code here
├── DuplicateKind               two files claim the same name
├── Snooze                      control flow of jobs: run again later, no attempt spent
└── GiveUp                      control flow of jobs: this can never work, stop now

Only the HTTP edge (`kernel.http`) reads `status`; only the worker reads `Snooze` and `GiveUp`.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, ClassVar


class SwitchboardError(Exception):
    """Base of everything raised on purpose."""


class ProblemError(SwitchboardError):
    """An error with an answer for the caller: RFC 9457 problem details.

    `detail` is a sentence for a person, `field` the JSON path of the offending member if there is
    one, `extra` further members of the problem document, `headers` of the HTTP answer.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.extra = extra or {}
        self.headers = headers or {}


class BadRequest(ProblemError):
    """The body or a parameter cannot be read."""

    status = 400
    title = "Bad request"


class Unauthorized(ProblemError):
    """No key, an unknown, expired or disabled key, or a bad signature."""

    status = 401
    title = "Unauthorized"


class Forbidden(ProblemError):
    """The key is known but lacks the scope, or the verify token is wrong."""

    status = 403
    title = "Forbidden"


class NotFound(ProblemError):
    """Unknown here, or another tenant's: the two are not told apart."""

    status = 404
    title = "Not found"


class Conflict(ProblemError):
    """The same Idempotency-Key came with another body, or its first request is still running."""

    status = 409
    title = "Conflict"


class TooLarge(ProblemError):
    """The body is over its limit."""

    status = 413
    title = "Content too large"


class Unprocessable(ProblemError):
    """A field beyond Meta's limits, or a denial by policy."""

    status = 422
    title = "Unprocessable content"


class TooMany(ProblemError):
    """More than is allowed within a time; Retry-After says when it is over."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, *, wait_s: float, field: str | None = None) -> None:
        seconds = max(1, math.ceil(wait_s))
        super().__init__(detail, field=field, headers={"retry-after": str(seconds)})


class RefusedByMeta(ProblemError):
    """Meta refused the message; it is kept as failed with Meta's error."""

    status = 502
    title = "Refused by Meta"


class Unavailable(ProblemError):
    """The database is away; the caller may try again, after the seconds of Retry-After."""

    status = 503
    title = "Service unavailable"

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        # As long as kernel.db refuses without trying after a failed attempt to connect.
        headers = {"retry-after": "5", **(headers or {})}
        super().__init__(detail, field=field, extra=extra, headers=headers)


class MetaAway(Unavailable):
    """Meta gave no answer or has no time; the database is well."""


class NotJson(SwitchboardError):
    """A webhook body that carries a good signature but is not a JSON object."""


class ConfigurationError(SwitchboardError):
    """A setting, a secret or a file of the deployment is missing or wrong."""


class MigrationDrift(SwitchboardError):
    """An applied migration file was changed, renamed or removed after it ran."""


class MigrationFailed(SwitchboardError):
    """A statement of a migration failed. The file is rolled back whole; the text names both."""


class UnknownKind(SwitchboardError):
    """A stored name (job kind, trigger, node, …) has no code in this release."""


class DuplicateKind(SwitchboardError):
    """Two modules of one folder claim the same name."""


class Snooze(SwitchboardError):
    """Raised by a job's run: not now, again at `until`; no attempt is spent."""

    def __init__(self, until: datetime, reason: str = "") -> None:
        super().__init__(reason)
        self.until = until


class GiveUp(SwitchboardError):
    """Raised by a job's run: no further attempt can help."""
