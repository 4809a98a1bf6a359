"""Which files are pictures: detected from their first bytes, not from their names."""

from __future__ import annotations

HEAD_BYTES = 64
"""Number of bytes at the start of a file that `sniff` needs."""

EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("avif", "bmp", "gif", "heic", "heif", "hif", "jfif", "jpe"),
        *("jpeg", "jpg", "png", "tif", "tiff", "webp"),
    )
)
"""Extensions of pictures: a file with one of them and other content is reported."""

RAW_EXTENSIONS = frozenset(
    f".{ending}"
    for ending in (
        *("3fr", "arw", "cr2", "cr3", "dng", "erf", "iiq", "kdc", "mef", "mos", "nef", "nrw"),
        *("orf", "pef", "raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"),
    )
)
"""Endings of camera raw files, of which decoders see a thumbnail alone. They are left out if they
are TIFF or of an unknown format; a JPEG with such an ending is a picture."""

_RAW_MAGIC = (b"FUJIFILMCCD-RAW", b"FOVb", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
"""Of Fujifilm, Sigma, Olympus and Panasonic."""

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),  # BigTIFF
    (b"MM\0+", "TIFF"),
)
_OTHERS = (
    (
        b"version https://git-lfs.github.com",
        "a Git LFS pointer; git lfs pull gets the picture",
    ),
    (b"%PDF-", "a PDF file"),
    (b"8BPS", "a Photoshop file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<svg", "an SVG drawing"),
)
"""What often goes by the name of a picture. The names follow "is no picture in a known format"."""
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # their sizes in bytes
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def sniff(head: bytes) -> str | None:
    """Detects the format of a picture.

    Args:
        head: the file's first `HEAD_BYTES` bytes, or all of it.

    Returns:
        Pillow's name of the format: ``JPEG``, ``PNG``, ``WEBP``, ``AVIF``, ``HEIF``, ``TIFF``,
        ``BMP`` or ``GIF``; None for everything else.

    >>> sniff(b"\\xff\\xd8\\xff\\xe0")
    'JPEG'
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    # Texts may start with "BM", too.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    return None


def is_camera_raw(head: bytes) -> bool:
    """Whether a file that `sniff` does not know is a camera raw file. DNG, NEF and others are TIFF.

    >>> is_camera_raw(b"\\0\\0\\0\\x18ftypcrx \\0\\0\\0\\1")
    True
    """
    return head.startswith(_RAW_MAGIC) or head[4:12] == b"ftypcrx "


def name_other(head: bytes) -> str | None:
    """What a file is that `sniff` does not know; None where that is not known either.

    >>> name_other(b"%PDF-1.7")
    'a PDF file'
    """
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return "a web page, perhaps of a download that failed"
    if is_video(head):
        return "a video"
    return next((name for magic, name in _OTHERS if head.startswith(magic)), None)


def is_video(head: bytes) -> bool:
    """Whether a file that `sniff` does not know is an MP4, MOV, AVI, Matroska or WebM video.

    >>> is_video(b"\\0\\0\\0\\x18ftypmp42")
    True
    """
    is_avi = head[:4] == b"RIFF" and head[8:12] == b"AVI "
    is_mp4 = head[4:8] in (b"ftyp", b"moov", b"mdat")
    return is_avi or is_mp4 or head.startswith(b"\x1a\x45\xdf\xa3")


def _sniff_brands(head: bytes) -> str | None:
    """Distinguishes AVIF and HEIF from videos, which use the same container."""
    box = head[: int.from_bytes(head[:4], "big")]
    brands = {box[8:12], *(box[place : place + 4] for place in range(16, len(box), 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None
