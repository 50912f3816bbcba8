"""A template's stored definition: what a message needs for it, and what the person will see.

`Definition` is what Meta tells (`Definition.of` of its object). `check` holds a message against it,
`render` fills it in. Neither asks Meta or the database, and no definition is too odd for them: what
cannot be read is passed by with a warning.
"""

from __future__ import annotations

from switchboard.whatsapp.templates.check import check
from switchboard.whatsapp.templates.definition import Definition
from switchboard.whatsapp.templates.render import Preview, render

__all__ = ["Definition", "Preview", "check", "render"]
