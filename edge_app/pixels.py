"""What decoded pixels become before the model's resize: RGB on white, and upright."""

from __future__ import annotations

import numpy as np
from PIL import ExifTags, Image

from edge_app.opening import PictureError

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How to undo each EXIF orientation."""


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation of a picture, 1 to 8; 1 where its metadata make no sense."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # readers of metadata raise whatever they like, and the picture is sound
        return 1
    return orientation if orientation in TURNS else 1


def turned(image: Image.Image) -> Image.Image:
    """The picture upright."""
    orientation = orientation_of(image)
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def on_white(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB, what is transparent on white, 16-bit grey scaled to 8."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> (_bits(image) - 8)).astype(np.uint8))
    elif image.mode in ("I", "F"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _bits(image: Image.Image) -> int:
    """Bits of a grey value that Pillow gives in 16: 12 in some TIFF files."""
    stored = getattr(image, "tag_v2", {}).get(ExifTags.Base.BitsPerSample)
    return 12 if stored == (12,) else 16


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """32-bit grey values to 8 bits; their largest tells whether they fill 16 bits, 8, or [0, 1]."""
    in_floats = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float32))
    largest = values.max(initial=0)
    if largest > 255:
        values = values / 257
    elif in_floats and largest <= 1:
        values = values * 255
    return values.clip(0, 255).astype(np.uint8)


def from_array(pixels: np.ndarray) -> Image.Image:
    """An array ``uint8[height, width, 3]`` as an image.

    Raises:
        PictureError: it has another shape or dtype.
        TypeError: it is no array.
    """
    if not isinstance(pixels, np.ndarray):
        kind = type(pixels).__name__
        raise TypeError(f"expected an array uint8[height, width, 3], got {kind}")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PictureError(
            f"expected an array uint8[height, width, 3], got {pixels.dtype}{list(pixels.shape)}"
        )
    return Image.fromarray(np.ascontiguousarray(pixels))
