"""Pictures, films, sounds, papers and stickers: a media id to be fetched within 7 days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

from switchboard.whatsapp.webhook.payloads._read import Object, flag, optional_text, text

MediaKind = Literal["image", "video", "audio", "document", "sticker"]


@dataclass(frozen=True, slots=True)
class Media:
    """One file a person sent (Webhooks, messages, image, video, audio, document and sticker).

    `kind` is Meta's type except that the old `voice` is audio with `voice` true. `sha256` is base64
    in current webhooks, hex in old ones. A `url` Meta may add is not read: it lives 5 minutes.
    """

    WORDS: ClassVar = ("image", "video", "audio", "voice", "document", "sticker")

    kind: MediaKind
    id: str
    mime_type: str | None
    sha256: str | None
    caption: str | None
    filename: str | None
    voice: bool
    animated: bool

    @classmethod
    def read(cls, word: str, content: Object) -> Media:
        """Read `<word>: {id, mime_type?, sha256?, caption?, filename?, voice?, animated?}`."""
        old_voice = word == "voice"
        return cls(
            "audio" if old_voice else cast("MediaKind", word),
            text(content, "id"),
            optional_text(content, "mime_type"),
            optional_text(content, "sha256"),
            optional_text(content, "caption"),
            optional_text(content, "filename"),
            old_voice or flag(content, "voice"),
            flag(content, "animated"),
        )
