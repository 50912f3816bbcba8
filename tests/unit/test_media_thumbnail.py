"""Thumbnails: small, upright, without a camera's notes; strangers' files do no harm."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from switchboard.media import thumbnail
from switchboard.media.thumbnail import make_thumbnail

RED, BLUE = (255, 0, 0), (0, 0, 255)


def saved(picture: Image.Image, kind: str, **how: Any) -> io.BytesIO:
    out = io.BytesIO()
    picture.save(out, kind, **how)
    return out


def opened(content: bytes | None) -> Image.Image:
    assert content is not None
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "WEBP"
    return picture


def colour(picture: Image.Image, x: int, y: int) -> tuple[int, int, int, int]:
    found = picture.convert("RGBA").getpixel((x, y))
    assert isinstance(found, tuple)
    red, green, blue, alpha = found
    return red, green, blue, alpha


def halves(size: tuple[int, int]) -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    return picture


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("size", "small"), [((1600, 800), (320, 160)), ((100, 3200), (10, 320)), ((64, 48), (64, 48))]
)
def test_it_fits_into_320_pixels_and_keeps_its_shape(
    kind: str, size: tuple[int, int], small: tuple[int, int]
) -> None:
    assert opened(make_thumbnail(saved(halves(size), kind))).size == small


def test_it_stands_upright_and_says_nothing_of_place_and_time() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: left is up
    exif[0x8825] = {1: "N", 2: (52.0, 30.0, 0.0)}
    exif[0x010F] = "Camera"
    source = saved(halves((800, 400)), "JPEG", exif=exif, icc_profile=b"Camera's colours" * 9)
    content = make_thumbnail(source)
    picture = opened(content)
    assert picture.size == (160, 320)
    red, _, blue, _ = colour(picture, 80, 20)
    assert red > blue + 100
    assert not picture.getexif()
    assert picture.info.keys().isdisjoint({"exif", "xmp", "icc_profile"})
    assert b"Camera" not in (content or b"")


def test_what_is_transparent_stays_so() -> None:
    picture = opened(make_thumbnail(saved(Image.new("RGBA", (512, 512), (0, 0, 0, 0)), "WEBP")))
    assert colour(picture, 10, 10)[3] == 0


def test_of_what_moves_the_first_picture_counts() -> None:
    frames = [Image.new("RGB", (512, 512), one) for one in (RED, BLUE)]
    source = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    red, _, blue, _ = colour(opened(make_thumbnail(source)), 5, 5)
    assert red > blue + 100


def test_a_picture_that_would_fill_the_memory_is_not_unpacked() -> None:
    # 48 million pixels in 50 KB; Pillow's own guard begins at 179 million.
    bomb = saved(Image.new("L", (8000, 6000)), "PNG")
    assert make_thumbnail(bomb) is None


@pytest.mark.parametrize("size", [(1, 17_000), (17_000, 1)])
def test_a_picture_of_endless_lines_is_not_unpacked(size: tuple[int, int]) -> None:
    assert make_thumbnail(saved(Image.new("L", size), "PNG")) is None


def test_the_bound_is_what_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(halves((100, 100)), "PNG")
    monkeypatch.setattr(thumbnail, "MOST_PIXELS", 10_000)
    assert make_thumbnail(source) is not None
    monkeypatch.setattr(thumbnail, "MOST_PIXELS", 9_999)
    assert make_thumbnail(source) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"\x89PNG\r\n\x1a\n" + b"\0" * 100,
        saved(halves((500, 500)), "JPEG").getvalue()[:400],
        saved(halves((50, 50)), "GIF").getvalue(),
        saved(halves((50, 50)), "TIFF").getvalue(),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n",
    ],
    ids=["nothing", "html", "broken", "cut", "gif", "tiff", "eps"],
)
def test_what_whatsapp_does_not_show_has_none(content: bytes) -> None:
    assert make_thumbnail(io.BytesIO(content)) is None
