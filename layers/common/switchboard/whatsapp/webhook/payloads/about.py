"""What Meta says beside the content of any message: what it is about, which ad led here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from switchboard.whatsapp.webhook.payloads._read import Object


@dataclass(frozen=True, slots=True)
class Product:
    """The catalogue product that a message was written from (Webhooks, messages, context)."""

    catalog_id: str | None
    product_retailer_id: str


@dataclass(frozen=True, slots=True)
class Context:
    """What a message is about. `forwarded` holds for frequently forwarded ones, too."""

    forwarded: bool
    product: Product | None


@dataclass(frozen=True, slots=True)
class Referral:
    """The ad or post that a person came from (Webhooks, messages, referral).

    Every part may be missing: ads in a status have no `ctwa_clid`, and old posts only an `image`.
    `source_type` is Meta's word (ad, post, unknown).
    """

    source_type: str | None
    source_id: str | None
    source_url: str | None
    headline: str | None
    body: str | None
    media_type: str | None
    media_url: str | None
    ctwa_clid: str | None


def context_of(extra: Object) -> Context | None:
    """Return the context among a message's other keys, None where it has none."""
    said = extra.get("context")
    if type(said) is not dict:
        return None
    product = said.get("referred_product")
    name = _text(product, "product_retailer_id")
    return Context(
        bool(said.get("forwarded") or said.get("frequently_forwarded")),
        None if name is None else Product(_text(product, "catalog_id"), name),
    )


def referral_of(extra: Object) -> Referral | None:
    """Return the referral among a message's other keys, None where it has none."""
    said = extra.get("referral")
    if type(said) is not dict:
        return None
    return Referral(
        _text(said, "source_type"),
        _text(said, "source_id"),
        _text(said, "source_url"),
        _text(said, "headline"),
        _text(said, "body"),
        _text(said, "media_type"),
        _text(said, "image_url") or _text(said, "video_url") or _text(said, "thumbnail_url"),
        _text(said, "ctwa_clid"),
    )


def _text(part: Any, key: str) -> str | None:
    value = part.get(key) if type(part) is dict else None
    return value if type(value) is str else None
