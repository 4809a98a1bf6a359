"""Names of classes: reading label files, and which name says that somebody smokes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from edge_app.files import read_small

LABEL_FILE = "labels.txt"

_TEACHABLE = ("keras_model", "model_unquant", "model.savedmodel")
"""Names of the models in what Teachable Machine exports, whose pixels are in [-1, 1]."""
_NUMBERED = re.compile(r"\d+\s*[:.,)]?\s+(\S.*)")

_SMOKING = (
    *("smoking", "smoker", "smokes", "rauch", "fumar", "fumad", "fumand", "fumant", "fumat"),
    *("fumeu", "fume", "fuma", "merokok", "perokok", "rokok", "roken", "roker", "rookt", "rokare"),
    *("roking", "roka", "ryger", "rygning", "royker", "palacy", "palacz", "palenie", "pali"),
    *("tupako", "sigara", "курит", "курящ", "курен", "куріть", "吸烟", "抽烟", "吸煙", "喫煙"),
    *("흡연", "धूम्रपान", "تدخين", "مدخن", "يدخن", "hut thuoc", "สูบบุหรี่", "cigarette"),
)
"""Stems of "smoking" and "smoker", without accents. Bare "smoke" may be that of a fire."""

_NOT_WORDS = """
no non not never without none isnt doesnt dont free anti ex former quit stop un nicht kein keine
ohne pas sans ne sin ni nao nem sem senza tidak bukan tanpa tak niet geen zonder nie bez brak inte
ej icke ikke uden uten ei не нет без ні немає degil yok khong غير لا ليس بدون ممنوع नहीं गैर न
"""
_NOT = frozenset(_NOT_WORDS.split())
_NOT_INSIDE = ("不", "无", "無", "未", "没", "沒", "非", "禁", "비흡연", "ไม่", "ない")
_NOT_AFTER = ("icmeyen", "icmiyor", "icmez", "icilmez", "maton", "free", "less")
_WITHOUT_STROKES = str.maketrans({"ø": "o", "ł": "l", "\u0131": "i"})  # not accents in Unicode


def read_labels(path: Path) -> tuple[str, ...]:
    """Reads a label file, one label per line, in the order of the model's outputs.

    The numbers that Teachable Machine puts before each label are left out.

    Raises:
        ValueError: it cannot be read, is no text, or empty; the message names it.
    """
    return parse_labels(_read_text(path))


def labels_beside(model: Path) -> tuple[tuple[str, ...], bool]:
    """The labels of a ``labels.txt`` beside a model, and whether Teachable Machine exported both.

    It numbers its labels, and so do others: the model must have one of its names, too. Without
    that file: no labels, and False.

    Raises:
        ValueError: as `read_labels`.
    """
    path = model.with_name(LABEL_FILE)
    if not path.is_file():
        return (), False
    text = _read_text(path)
    return parse_labels(text), is_numbered(text) and model.name.lower().startswith(_TEACHABLE)


def _read_text(path: Path) -> str:
    try:
        content = read_small(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    # Editors on Windows write UTF-16 with a byte order mark.
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8; save it as UTF-8") from None
    if not text.strip() or "\0" in text:
        raise ValueError(f"{path}: is no list of labels, one per line")
    return text


def parse_labels(text: str) -> tuple[str, ...]:
    """The labels in the text of a label file.

    >>> parse_labels("0 With Mask\\n1 Without Mask\\n")
    ('With Mask', 'Without Mask')
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if is_numbered(text):
        lines = [match[1] for match in numbered if match]
    return tuple(lines)


def is_numbered(text: str) -> bool:
    """Whether each line begins with its number, 0, 1, 2, as Teachable Machine writes it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    numbers = [re.match(r"\d+", line) for line in lines if _NUMBERED.fullmatch(line)]
    return bool(lines) and [m and int(m[0]) for m in numbers] == list(range(len(lines)))


def split_labels(text: str) -> tuple[str, ...]:
    """The labels of the option ``--labels``: ``A,B``, or the name of a label file.

    Raises:
        ValueError: fewer than two, one is empty, or two are the same.
    """
    path = Path(text)
    if "," not in text and path.is_file():
        labels = read_labels(path)
    elif "," not in text and (path.suffix or path.name != text):
        raise ValueError(
            f"{text}: there is no such label file; give one with one label per line, or the labels "
            "themselves, as --labels no,yes"
        )
    else:
        labels = tuple(label.strip() for label in text.split(","))
    if len(labels) < 2 or not all(labels) or len(set(labels)) < len(labels):
        raise ValueError(
            f"expected two or more different labels in the order of the model's outputs, "
            f"as --labels no,yes, got {text!r}"
        )
    return labels


def choose_positive(labels: Sequence[str], positive: str | None = None) -> str:
    """The label to look for.

    Args:
        labels: all of them.
        positive: the user's choice; None to choose the one that says smoking without a negation.

    Raises:
        ValueError: the choice is none of the labels, or not exactly one says smoking.

    >>> choose_positive(["smoker", "non-smoker"])
    'smoker'
    """
    if positive is not None:
        for label in labels:
            if same_name(label, positive):
                return label
        raise ValueError(f"--positive {positive} is none of the labels: {', '.join(labels)}")
    saying = [label for label in labels if says_smoking(label)]
    if len(saying) == 1:
        return saying[0]
    raise ValueError(
        f"which of the labels {', '.join(labels)} is looked for? Say it with "
        f'--positive, as --positive "{labels[-1]}"'
    )


def rest_of(labels: Sequence[str], positive: str) -> str:
    """The name of everything else: the other of two labels, or ``not POSITIVE`` of more."""
    others = [label for label in labels if label != positive]
    return others[0] if len(others) == 1 else f"not {positive}"


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same but for case, spaces and punctuation."""
    return _bare(one) == _bare(other)


def says_smoking(label: str) -> bool:
    """Whether a label says that somebody smokes, without a negation, in several languages.

    >>> [says_smoking(name) for name in ("smoking", "NotSmoking", "Nichtraucher", "merokok")]
    [True, False, False, True]
    """
    words = _words(label)
    text = " ".join(words)
    stem = next((stem for stem in _SMOKING if stem in text), None)
    if stem is None or any(part in text for part in _NOT_INSIDE):
        return False
    if any(word in _NOT for word in words) or any(part in text for part in _NOT_AFTER):
        return False
    before = next((word.split(stem)[0] for word in words if stem in word), "")
    # "nonsmoker" and "Nichtraucher" deny it, "perfume" is another word; Chinese has no spaces.
    return not before or before >= "\u0e00"


def _words(label: str) -> list[str]:
    """Lower-case words without accents; ``NotSmoking`` and ``not_smoking`` have two."""
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).casefold()
    text = re.sub(r"['\u2019]", "", text).translate(_WITHOUT_STROKES)
    decomposed = unicodedata.normalize("NFKD", text)
    # Latin accents alone: the marks of Devanagari and Thai are letters of their own.
    plain = "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")
    return re.split(r"[\s_\-./]+", unicodedata.normalize("NFC", plain).strip())


def _bare(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
