"""The page of preferences as HTML: one file without scripts, in the reader's language.

The texts stand in preference_texts.json, by language. Nothing of it comes from elsewhere, no other
site may show it inside one of its own, and no site is told its address, which holds the signature.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import resources

import orjson

_DEFAULT = "en"
#: Languages that are written from right to left.
_LEFTWARD = ("ar",)
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:0 auto;padding:1rem;"
    "color:#111;background:#fff}h1{font-size:1.4rem}fieldset{border:1px solid #bbb;"
    "border-radius:.5rem;margin:0 0 1rem;padding:.5rem 1rem}legend{font-weight:600}"
    "label{display:block;padding:.4rem 0}input[type=time],select{font:inherit;max-width:100%}"
    "button{font:inherit;padding:.6rem 1.5rem}.said{border-inline-start:4px solid #0a7;"
    "padding:.3rem .8rem}.wrong{color:#a00;margin:0}p.wrong{border-inline-start:4px solid #a00;"
    "padding:0 .8rem}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
#: Of every answer of the page, the refusals too.
HEADERS = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}


@dataclass(frozen=True, slots=True)
class Form:
    """What the form shows: what is stored, or what the person typed that cannot be stored.

    `wanted` are the categories that are ticked, `offered` those that can be changed. `notice` and
    the values of `problems` (by field) are keys of the texts. `automatic` is the zone without one
    of the person's own.
    """

    business: str
    categories: Sequence[str]
    wanted: Collection[str]
    offered: Collection[str]
    quiet: bool
    start: str
    end: str
    timezone: str
    automatic: str
    notice: str | None = None
    saved: bool = False
    problems: Mapping[str, str] = field(default_factory=dict)


@cache
def texts() -> dict[str, dict[str, str]]:
    """Return the texts by language and key."""
    raw = resources.files(__package__ or "").joinpath("preference_texts.json").read_bytes()
    return dict(orjson.loads(raw))


def choose_language(accepted: str, locale: str | None = None) -> str:
    """Return the language to write in: the best that the browser asks for, else the contact's.

    `accepted` is a header Accept-Language, `locale` as pt_BR.
    """
    asked: list[tuple[float, str]] = []
    for part in accepted[:500].split(","):
        tag, _, rest = part.partition(";")
        name, _, weight = rest.strip().partition("=")
        try:
            quality = float(weight) if name == "q" else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            asked.append((-quality, _primary(tag)))
    # Sorting keeps the order of what is wanted alike.
    wanted = [language for _, language in sorted(asked, key=lambda one: one[0])]
    return next((one for one in (*wanted, _primary(locale or "")) if one in texts()), _DEFAULT)


def write_form(form: Form, zones: Sequence[str], language: str) -> str:
    """Return the page with its form, which is sent to the page's own address."""
    said = texts()[language]
    parts = [f"<p>{escape(said['intro'])}</p>"]
    if form.saved:
        parts.append(f'<p class="said" role="status">{escape(said["saved"])}</p>')
    if form.problems:
        parts.append(f'<p class="wrong" role="alert">{escape(said["wrong"])}</p>')
    if form.notice:
        parts.append(f'<p class="said">{escape(said[form.notice])}</p>')
    boxes = "".join(_category(form, name, said) for name in form.categories)
    quiet = " checked" if form.quiet else ""
    parts.append(
        '<form method="post" action="" autocomplete="off">'
        f"<fieldset><legend>{escape(said['categories'])}</legend>{boxes}</fieldset>"
        f"<fieldset><legend>{escape(said['quiet'])}</legend>"
        f'<label><input type="checkbox" name="quiet" value="1"{quiet}> '
        f"{escape(said['quiet_enabled'])}</label>"
        + _time(form, "quiet_hours_start", said["start"], form.start, said)
        + _time(form, "quiet_hours_end", said["end"], form.end, said)
        + _zone(form, zones, said)
        + f'</fieldset><button type="submit">{escape(said["save"])}</button></form>'
    )
    return _page(form.business, "".join(parts), language)


def write_sentence(key: str, language: str) -> str:
    """Return a page with one sentence."""
    return _page("", f"<p>{escape(texts()[language][key])}</p>", language)


def _category(form: Form, name: str, said: Mapping[str, str]) -> str:
    ticked = " checked" if name in form.wanted else ""
    if name not in form.offered:
        box = f'<input type="checkbox" disabled{ticked}>'
    else:
        # A box that is not ticked is not sent: what was shown is said besides.
        box = (
            f'<input type="hidden" name="shown" value="{name}">'
            f'<input type="checkbox" name="wanted" value="{name}"{ticked}>'
        )
    return f"<label>{box} {escape(said[name])}</label>"


def _time(form: Form, name: str, label: str, value: str, said: Mapping[str, str]) -> str:
    given = f'name="{name}" value="{escape(value)}"{_marked(form, name)}'
    return f'<label>{escape(label)} <input type="time" {given}></label>{_problem(form, name, said)}'


def _zone(form: Form, zones: Sequence[str], said: Mapping[str, str]) -> str:
    automatic = escape(said["automatic"].format(zone=form.automatic))
    options = "".join(
        f'<option value="{escape(zone)}"{" selected" if zone == form.timezone else ""}>'
        f"{escape(zone.replace('_', ' '))}</option>"
        for zone in zones
    )
    return (
        f'<label>{escape(said["zone"])} <select name="timezone"{_marked(form, "timezone")}>'
        f'<option value="">{automatic}</option>{options}</select></label>'
        f"{_problem(form, 'timezone', said)}"
    )


def _marked(form: Form, name: str) -> str:
    if name not in form.problems:
        return ""
    return f' aria-invalid="true" aria-describedby="{name}-problem"'


def _problem(form: Form, name: str, said: Mapping[str, str]) -> str:
    key = form.problems.get(name)
    if key is None:
        return ""
    return f'<p class="wrong" id="{name}-problem">{escape(said[key])}</p>'


def _page(business: str, body: str, language: str) -> str:
    title = escape(texts()[language]["title"])
    leftward = ' dir="rtl"' if language in _LEFTWARD else ""
    whose = f"<p><strong>{escape(business)}</strong></p>" if business else ""
    return (
        f'<!doctype html><html lang="{language}"{leftward}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main>{whose}<h1>{title}</h1>{body}</main></body></html>"
    )


def _primary(tag: str) -> str:
    return tag.strip().replace("_", "-").partition("-")[0].lower()
