"""Pictures for tests, each with something that somebody's camera or web site gets wrong."""

import io
import struct
import zlib

from PIL import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(width=80, height=40, mode="RGB", colours=(RED, GREEN, BLUE, WHITE)):
    """A picture whose quarters have a colour each: upper left, upper right, lower left, lower right."""
    image = Image.new(mode, (width, height))
    for number, colour in enumerate(colours):
        left, top = number % 2 * width // 2, number // 2 * height // 2
        image.paste(colour, (left, top, left + width // 2, top + height // 2))
    return image


def encoded(image, form="JPEG", **options):
    held = io.BytesIO()
    image.save(held, form, **options)
    return held.getvalue()


def with_exif(orientation=None, **tags):
    """A JPEG with those tags: `taken`, `offset`."""
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    inner = exif.get_ifd(0x8769)
    for tag, name in ((0x9003, "taken"), (0x9011, "offset")):
        if name in tags:
            inner[tag] = tags[name]
    return encoded(quarters(), exif=exif)


def png_bomb(width=50_000, height=50_000):
    """A few bytes that claim to be huge."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def bmp_claiming(length):
    """A BMP whose header tells of so many bytes of pixels."""
    head = struct.pack("<2sIHHI", b"BM", length & 0xFFFFFFFF, 0, 0, 54)
    return head + struct.pack("<IiiHHIIiiII", 40, 10, 10, 1, 24, 0, length & 0xFFFFFFFF, 0, 0, 0, 0) + bytes(320)


def tiff_claiming(length):
    """A TIFF of 10 by 10 whose only strip is said to be so many bytes."""
    tags = [(256, 10), (257, 10), (258, 8), (259, 1), (262, 1), (273, 0xF0000000), (277, 1), (278, 10), (279, length)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)


def png_with_text(length):
    """A PNG with a compressed comment of so many bytes."""
    whole = encoded(quarters(), "PNG")
    body = b"Comment\0\0" + zlib.compress(bytes(length))
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return whole[:33] + chunk + whole[33:]


def animated(frames=3):
    """A GIF whose first frame is red."""
    images = [Image.new("RGB", (20, 10), (255 - 255 * number, 0, 255 * number)) for number in range(2)] * frames
    return encoded(images[0], "GIF", save_all=True, append_images=images[1:frames])
