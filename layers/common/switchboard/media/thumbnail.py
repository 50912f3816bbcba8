"""A small picture of a picture. Nothing of films: what reads them weighs a hundred megabytes.

Pictures come from strangers: only the formats that WhatsApp sends are opened, the size is looked at
before a pixel is unpacked, and none of what a camera notes (place, time, device) is kept.
"""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO

#: Types of message of which there can be one.
PICTURES = frozenset({"image", "sticker"})
#: Pixels of the longer side.
SIDE = 320
#: Pixels of the largest picture that is unpacked: WebP takes sixteen bytes of each on the way, and
#: the function has 1 GB.
MOST_PIXELS = 25_000_000
#: Pixels of its longer side: Pillow keeps a pointer or two per line. One column of 39 million
#: pixels, 190 KB as PNG, took 900 MB.
LONGEST = 16_384
_FORMATS = ("JPEG", "PNG", "WEBP")
MIME_TYPE = "image/webp"


def make_thumbnail(picture: BinaryIO) -> bytes | None:
    """Return `picture` as WebP of at most 320 pixels a side, upright; None where it is none.

    Raises nothing: a file that cannot be read as a picture is kept all the same.
    """
    # Imported here: only this job needs it, and every environment would pay for it.
    from PIL import Image, ImageOps

    picture.seek(0)
    try:
        with Image.open(picture, formats=_FORMATS) as opened:
            if opened.width * opened.height > MOST_PIXELS or max(opened.size) > LONGEST:
                return None
            # JPEG can be unpacked at an eighth of its size, which spares most of the work.
            opened.draft("RGB", (SIDE * 2, SIDE * 2))
            opened.thumbnail((SIDE, SIDE))
            small = ImageOps.exif_transpose(opened)
            mode = "RGBA" if small.has_transparency_data else "RGB"
            out = BytesIO()
            small.convert(mode).save(out, "WEBP", quality=75)
            return out.getvalue()
    except Exception:  # noqa: BLE001 - a decoder may raise anything; the file is none that it reads
        return None
