"""Random changes to training pictures, so that the model meets more than its data set holds.

One affine transform (a smoker can be small, close, off centre, tilted, mirrored), colour (pictures
come in black and white, under any lamp), the look of films and posters (bars, dark corners, words),
and wear (blur, noise, JPEG, a small sensor). All of it applies to both classes alike: what happens
to one class only would be learnt as that class, and what only one class looks like is given to the
other.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from train.scene import IN_SIGHT, Scene

CLOSE = 0.35
"""Share of the views that come close to somebody, or to where a head may be."""
WITHOUT = 0.15
"""Share of the views of a picture of smoking for which a part without what is smoked is looked
for; in most pictures there is none that is large enough."""
EXCHANGED = 0.8
"""Share of the views made of two pictures in which somebody of the one takes the place of somebody
in the other; in the rest they stand side by side."""
_TRIES = 12


def augment(
    scene: Scene, rng: np.random.Generator, size: int, companion: Scene | None = None
) -> Scene:
    """Returns a randomly changed copy of a picture.

    Args:
        scene: the picture.
        rng: the source of chance; the same state gives the same picture.
        size: side of the new picture in pixels.
        companion: another picture of the same shape, to stand beside it or to take somebody from.
    """
    if companion is not None:
        scene = _together(scene, companion, rng)
    scene = _framed(scene, rng, size)
    coloured = replace(scene, pixels=_colour(scene.pixels, rng))
    return replace(scene, pixels=_wear(_styled(coloured, rng), rng))


def blank(rng: np.random.Generator, size: int) -> np.ndarray:
    """A picture that shows nothing, as a covered, dark or blinded camera gives.

    Returns:
        ``uint8[size, size, 3]``: one colour or a gradient between two, black as often as not,
        with or without noise.
    """
    reach = rng.choice([12, 255])
    first, last = rng.uniform(0, reach, (2, 3)) if rng.random() < 0.5 else np.zeros((2, 3))
    if rng.random() < 0.5:
        last = first
    slope = np.linspace(0, 1, size)[:, None, None]
    slope = slope if rng.random() < 0.5 else slope.transpose(1, 0, 2)
    picture = np.broadcast_to(first + slope * (last - first), (size, size, 3))
    if rng.random() < 0.5:
        picture = picture + rng.normal(0, rng.uniform(1, 25), (size, size, 3))
    return picture.clip(0, 255).astype(np.uint8)


def _together(scene: Scene, companion: Scene, rng: np.random.Generator) -> Scene:
    if rng.random() < EXCHANGED:
        exchanged = _exchanged(scene, companion, rng)
        # Of a smoker whose cigarette did not come along, smoke or a gesture may have.
        if exchanged is None or exchanged.shows_smoking() in (None, not companion.smoking):
            return scene
        return exchanged
    pair = (scene, companion) if rng.random() < 0.5 else (companion, scene)
    return pair[0].beside(pair[1])


def _exchanged(scene: Scene, other: Scene, rng: np.random.Generator) -> Scene | None:
    """The picture with somebody of another one, and what they smoke, in the place of somebody.

    What is around the people then says nothing about the label any more: a copy-paste (Ghiasi and
    others, "Simple Copy-Paste is a Strong Data Augmentation Method", 2021) of heads. It is done
    to both classes from both classes, so that its edges say nothing either.

    Returns:
        None where it is not known who smokes or where heads are, or they are of too different size.
    """
    if not (scene.located and other.located and len(scene.heads) and len(other.heads)):
        return None
    (head, part), (other_head, other_part) = (_person(s, rng) for s in (scene, other))
    scale = np.sqrt(np.prod(head[2:] - head[:2]) / np.prod(other_head[2:] - other_head[:2]))
    if not 0.4 < scale < 2.5:
        return None
    scale *= np.exp(rng.uniform(0, 0.2))
    linear = np.diag([rng.choice([-1, 1]) * scale, scale])
    move = _middles(head[None])[0] - linear @ _middles(other_head[None])[0]
    corners = linear @ other_part.reshape(2, 2).T + move[:, None]
    low = np.minimum(corners.min(axis=1), part[:2])
    high = np.maximum(corners.max(axis=1), part[2:])
    covered = np.concatenate([low, high]).clip(0, len(scene.pixels))
    feather = rng.uniform(1, 6) if rng.random() < 0.7 else 0
    return scene.with_part_of(other, np.column_stack([linear, move]), covered, feather)


def _person(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A head, and the part of the picture with it and what this person smokes."""
    head = scene.heads[rng.integers(len(scene.heads))]
    smoked = scene.smoked[:, :4]
    if len(smoked):
        middles = _middles(smoked)
        away = np.linalg.norm(_middles(scene.heads)[:, None] - middles, axis=2)
        head = scene.heads[np.argmin(away.min(axis=1))]
        smoked = smoked[[np.argmin(np.linalg.norm(middles - _middles(head[None]), axis=1))]]
    else:  # hands are near heads in pictures of both kinds
        spread = (head[2:] - head[:2]) * rng.uniform(0, 0.8, 4).reshape(2, 2)
        smoked = np.concatenate([head[:2] - spread[0], head[2:] + spread[1]])[None]
    boxes = np.concatenate([head[None], smoked])
    margin = (head[2:] - head[:2]) * rng.uniform(0.05, 0.3)
    return head, np.concatenate(
        [boxes[:, :2].min(axis=0) - margin, boxes[:, 2:].max(axis=0) + margin]
    )


def _framed(scene: Scene, rng: np.random.Generator, size: int) -> Scene:
    """A part of the picture, or all of it with something around, of which the label is known."""
    border = int(rng.choice([0, 128, 255, rng.integers(256)]))
    # Mostly a cigarette stays in the frame; else all that looks the same is there without it.
    wanted = scene.smoking and not (scene.located and rng.random() < WITHOUT)
    moved, side = scene, len(scene.pixels)
    for _ in range(_TRIES):
        close = scene.located and rng.random() < CLOSE
        frame = _close_frame(scene, rng) if close else _wide_frame(scene, rng)
        moved = scene.warped(_transform(*_inside(*frame, side), rng, size), size, border)
        if moved.shows_smoking() is wanted:
            return moved
    if moved.shows_smoking() is None:  # nothing is cut off where nothing is turned or stretched
        moved = scene.warped(np.array([[size / side, 0, 0], [0, size / side, 0]]), size, border)
    return moved


def _wide_frame(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Centre and side of a square around most of the picture, in its pixels."""
    side = len(scene.pixels)
    centre = side * (0.5 + rng.uniform(-0.12, 0.12, 2))
    return centre, side * np.exp(rng.uniform(np.log(0.65), np.log(1.35)))


def _close_frame(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """The same around somebody's head, and mostly around what is smoked nearest to it."""
    side = len(scene.pixels)
    if len(scene.heads):
        head = scene.heads[rng.integers(len(scene.heads))]
    else:  # coming close is not to mean smoking, so it is done to all pictures
        middle, half = rng.uniform((0.25, 0.12), (0.75, 0.5)), np.exp(rng.uniform(-2.8, -1.5))
        head = side * np.concatenate([middle - half, middle + half])
    centre = _middles(head[None])[0]
    if len(scene.smoked) and rng.random() < 0.7:
        smoked = _middles(scene.smoked)
        nearest = smoked[np.argmin(np.linalg.norm(smoked - centre, axis=1))]
        centre = centre + rng.uniform(0.3, 1) * (nearest - centre)
    # From a little more than the head to a person who stands in a room.
    wanted = np.max(head[2:] - head[:2]) * np.exp(rng.uniform(np.log(1.4), np.log(6)))
    frame = np.clip(wanted, 0.3 * side, 1.2 * side)
    return centre + frame * rng.uniform(-0.25, 0.25, 2), frame


def _inside(centre: np.ndarray, frame: float, side: float) -> tuple[np.ndarray, float]:
    """The frame moved so that as little as possible of it lies outside of the picture."""
    slack = abs(side - frame) / 2 + 0.05 * side
    return np.clip(centre, side / 2 - slack, side / 2 + slack), frame


def _middles(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, :2] + boxes[:, 2:4]) / 2


def _transform(centre: np.ndarray, side: float, rng: np.random.Generator, size: int) -> np.ndarray:
    """From a square in a picture to a new one: tilted a little, stretched, mirrored or not."""
    angle = np.deg2rad(rng.normal(0, 6))
    stretch = np.exp(rng.uniform(-0.3, 0.3))  # pictures of any shape are stretched to a square
    mirror = rng.choice([-1, 1])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([mirror * stretch, 1 / stretch]) * (size / side)
    return np.column_stack([linear, np.full(2, size / 2) - linear @ centre])


def _colour(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    values = pixels.astype(np.float32)
    grey = values @ np.float32([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
    saturation = 0.0 if rng.random() < 0.2 else rng.uniform(0.6, 1.4)
    values = grey[..., None] + saturation * (values - grey[..., None])
    if rng.random() < 0.2:  # a colour cast; on a grey picture, a sepia print
        values *= rng.uniform(0.85, 1.15, 3).astype(np.float32)
    contrast = rng.uniform(0.7, 1.3)
    brightness = rng.uniform(-35, 35)
    values = (values - grey.mean()) * contrast + grey.mean() + brightness
    gamma = np.exp(rng.uniform(-0.3, 0.3))
    return (255 * (values.clip(0, 255) / 255) ** gamma).astype(np.uint8)


def _styled(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """The look of a film still, an advertisement or a poster, on a part of the pictures.

    A set of pictures of smoking that come from films and posters has none without: that look alone
    would be learnt as smoking. Bars end before what is smoked; words now and then hide it.
    """
    pixels = scene.pixels
    size = len(pixels)
    if rng.random() < 0.15:  # low key: dark, hard, with dark corners
        values = pixels.astype(np.float32)
        if rng.random() < 0.6:
            values[:] = values.mean(axis=2, keepdims=True)
        values = (values - values.mean()) * rng.uniform(1, 1.6) + rng.uniform(40, 110)
        away = np.linspace(-1, 1, size, dtype=np.float32) ** 2
        values *= 1 - rng.uniform(0, 0.35) * (away[:, None] + away)[..., None]
        pixels = values.clip(0, 255).astype(np.uint8)
    if rng.random() < 0.15:  # bars above and below, or at the sides
        pixels = pixels.copy()
        lying = rng.random() < 0.75
        lines, ends = (pixels, [1, 3]) if lying else (pixels.transpose(1, 0, 2), [0, 2])
        starts, stops = scene.smoked[scene.smoked[:, 4] >= IN_SIGHT][:, ends].T
        first, last = rng.integers(0, int(0.2 * size), 2)
        first, last = int(min([first, *starts])), int(min([last, *(size - stops)]))
        lines[:first] = lines[size - last :] = (
            0 if rng.random() < 0.8 else rng.integers(256, size=3)
        )
    if rng.random() < 0.1:
        pixels = np.ascontiguousarray(pixels)
        for _ in range(rng.integers(1, 4)):
            letters = rng.integers(ord("A"), ord("Z") + 1, rng.integers(3, 18))
            cv2.putText(
                pixels,
                "".join(map(chr, letters)),
                tuple(int(place) for place in rng.integers(0, size, 2) * (0.6, 1)),
                int(rng.integers(8)),  # OpenCV's fonts
                float(rng.uniform(0.3, 1.6)),
                tuple(int(level) for level in rng.integers(256, size=3)),
                int(rng.integers(1, 4)),
                cv2.LINE_AA,
            )
    return pixels


def _wear(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = len(pixels)
    if rng.random() < 0.1:
        small = int(size * rng.uniform(0.5, 0.9))
        pixels = cv2.resize(
            cv2.resize(pixels, (small, small), interpolation=cv2.INTER_AREA), (size, size)
        )
    if rng.random() < 0.15:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 2.0))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 18), pixels.shape)
        pixels = (pixels + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = int(rng.integers(20, 90))
        _, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return pixels
