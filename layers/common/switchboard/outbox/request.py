"""Reads a caller's request: shape first (400), then each field (422, named)."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)

from switchboard.kernel.arguments import read_recipient
from switchboard.kernel.errors import BadRequest, Unprocessable
from switchboard.outbox.effects import with_effects
from switchboard.outbox.outgoing import Outgoing
from switchboard.outbox.wire import check
from switchboard.policy import CATEGORIES, Kind, kind_of
from switchboard.whatsapp.storable import unfit

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _time(value: Any) -> Any:
    # A number, or a text of digits, would be taken for seconds or for milliseconds by its size.
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise ValueError("must be a time as RFC 3339 writes it: 2026-01-31T12:00:00Z")
    return value


#: In any case, as Meta writes them and as people do.
Category = Annotated[Literal["utility", "marketing", "authentication"], BeforeValidator(_lower)]
Time = Annotated[AwareDatetime, BeforeValidator(_time)]


class SendRequest(BaseModel):
    """The body of POST /v1/messages (design 6)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sender: Annotated[str, Field(alias="from", min_length=1, max_length=50)]
    to: Annotated[str, Field(min_length=1, max_length=50)]
    message: dict[str, Any]
    category: Category | None = None
    notification_category: Annotated[str | None, Field(max_length=50)] = None
    urgent: StrictBool = False
    expires_at: Time | None = None
    metadata: dict[str, Any] | None = None
    track_links: bool = False
    idempotency_key: Annotated[str | None, Field(min_length=1, max_length=255)] = None


def read(body: Any, *, key: str | None = None, public_url: str | None = None) -> Outgoing:
    """Return the message that `body` asks for.

    `key` is the Idempotency-Key header; a body may carry its own `idempotency_key`. `public_url` is
    the setting, where tracked links begin. Raises BadRequest when the body is no JSON object,
    Unprocessable naming the field.
    """
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    _refuse_unfit(body)
    try:
        request = SendRequest.model_validate(body)
    except ValidationError as error:
        raise _unprocessable(error) from None
    phone, contact_id = read_recipient(request.to)
    message, warnings = check(request.message)
    # Without a category the stored template tells, when it is asked about.
    if (
        request.urgent
        and request.category
        and kind_of(message["type"], request.category) is (Kind.MARKETING)
    ):
        raise Unprocessable("marketing cannot be urgent", field="urgent")
    if request.notification_category not in {None, *CATEGORIES}:
        raise Unprocessable(
            f"notification_category must be one of {', '.join(CATEGORIES)}",
            field="notification_category",
        )
    if any(name.startswith("$") for name in request.metadata or ()):
        raise Unprocessable("a key of metadata starts with $, which is ours", field="metadata")
    if key is not None and not key.strip():
        raise BadRequest("the Idempotency-Key header is empty", field="idempotency_key")
    key = key or request.idempotency_key
    if key is not None and len(key) > 255:
        raise BadRequest("an idempotency key has at most 255 characters", field="idempotency_key")
    item = Outgoing(
        phone_number_id=request.sender,
        phone=phone,
        contact_id=contact_id,
        message=message,
        category=request.category,
        notification_category=request.notification_category,
        urgent=request.urgent,
        expires_at=_utc(request.expires_at),
        metadata=request.metadata,
        key=key,
        sha256=_digest(body) if key is not None else b"",
        warnings=warnings,
        track_links=request.track_links,
    )
    return with_effects(item, public_url)


def _refuse_unfit(body: dict[str, Any]) -> None:
    for name, value in body.items():
        odd_name = unfit(name)
        reason = odd_name or unfit(value)
        if reason is not None:
            field = name if odd_name is None else None
            verb = "" if reason.startswith("holds") else "is "
            raise Unprocessable(
                f"{field or 'a name'} {verb}{reason}, which cannot be stored", field=field
            )


def _unprocessable(error: ValidationError) -> Unprocessable:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return Unprocessable(f"{field}: {first['msg'].removeprefix('Value error, ')}", field=field)


def _digest(body: dict[str, Any]) -> bytes:
    # Sorted keys: the same request written in another order is the same request.
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


def _utc(time: datetime | None) -> datetime | None:
    try:
        return None if time is None else time.astimezone(UTC)
    except OverflowError:
        # Year 9999 west of Greenwich, year 1 east of it.
        raise Unprocessable(
            "expires_at is outside the years 1 to 9999 of UTC", field="expires_at"
        ) from None
