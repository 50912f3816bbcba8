"""STOP and START, and their common forms: a whole message that says no more than that.

The words stand in consent_words.json, by language. A word inside a sentence is never one, and words
that people also say to a chatbot (yes, end, cancel) are left out: a wrong opt-in harms the business
and a wrong opt-out the person. `effect_consent_words` writes what is found.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import orjson

from switchboard.intake.effects._effect import Effect
from switchboard.whatsapp.webhook import Button, ButtonReply, Message, Text

State = Literal["given", "withdrawn"]

#: Characters after which a text is no word of ours: the longest has 23, the rest is punctuation.
LONGEST = 32
_DEFAULT = "en"

#: Accents people leave out, Arabic's vowel and hamza marks and its lengthening stroke, and the
#: marks that make an emoji of a letter.
_MARKS = re.compile("[\u0300-\u036f\u0640\u064b-\u0655\ufe00-\ufe0f\u20e3]")
_ASCII_WORDS = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Word:
    """What a word says; `language` is None where several languages share it."""

    state: State
    language: str | None


def read(text: str) -> Word | None:
    """Return what `text` says if it is nothing but one of the words, else None."""
    if len(text) > LONGEST:
        return None
    return _words().get(fold(text))


def fold(text: str) -> str:
    """Return `text` without case, accents, punctuation and emoji, its words one space apart.

    Compatible forms are one (NFKC's: full-width letters, ligatures), and so are Turkish i and ı.
    """
    if text.isascii():
        return " ".join(_ASCII_WORDS.findall(text.lower()))
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text)).casefold().replace("ı", "i")
    kept = (letter if unicodedata.category(letter)[0] in "LMN" else " " for letter in plain)
    return " ".join("".join(kept).split())


def confirmation(
    state: State,
    *,
    language: str | None = None,
    locale: str | None = None,
    phone: str | None = None,
) -> str:
    """Return the sentence that confirms a change, in the person's language as far as it shows.

    `language` is the word's, `locale` the contact's (`pt_BR`), `phone` in digits with or without
    `+`: a shared word such as STOP is answered in the main language of the number's country.
    """
    texts = _data()["languages"]
    spoken = (locale or "").replace("-", "_").partition("_")[0].lower()
    for choice in (language, spoken, _language_of(phone), _DEFAULT):
        if choice in texts:
            return str(texts[choice]["stopped" if state == "withdrawn" else "started"])
    raise AssertionError(_DEFAULT)


def _language_of(phone: str | None) -> str | None:
    number = (phone or "").lstrip("+")
    found = [
        (len(code), language)
        for language, codes in _data()["calling_codes"].items()
        for code in codes
        if number.startswith(code)
    ]
    return max(found)[1] if found else None


@cache
def _data() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("consent_words.json").read_bytes()
    return dict(orjson.loads(text))


@cache
def _words() -> dict[str, Word]:
    found: dict[str, Word] = {}
    states: tuple[tuple[str, State], ...] = (("stop", "withdrawn"), ("start", "given"))
    for language, texts in _data()["languages"].items():
        for key, state in states:
            for text in texts[key]:
                word = fold(text)
                known = found.get(word)
                is_shared = known is not None and known.language != language
                found[word] = Word(state, None if is_shared else language)
    return found


def _of(message: Message) -> dict[str, Any] | None:
    match message.payload:
        case Text(body=text):
            source = "keyword"
        case Button(text=text) | ButtonReply(title=text):
            source = "button"
        case _:
            return None
    # Said to a group it is said to everybody there, and to nobody in particular.
    if message.group_id is not None:
        return None
    word = read(text)
    if word is None:
        return None
    return {"s": word.state, "by": source, "w": text, "l": word.language}


KIND = Effect(name="consent_words", of=_of, payloads=(Text, Button, ButtonReply))
