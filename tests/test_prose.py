"""No text uses an idiom that a hurried reader, or one with little English, stumbles over.

    python tests/test_prose.py [PATH...]

prints every place with what to write instead.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("benchmarks", "convert", "deploy", "docs", "edge_app", "models", "samples", "tests")
ROOMS += ("train", ".github", ".ci", "")
ENDINGS = {".css", ".html", ".js", ".md", ".py", ".service", ".sh", ".toml", ".txt"}
ENDINGS |= {".yaml", ".yml"}
NAMES = {"Dockerfile", "run"}
_EACH = (
    "action|batch|camera|cell|class|command|core|day|event|file|fold|frame|kind|layer|line|million|"
    "model|node|object|option|page|picture|place|process|row|run|second|set|step|thread|visitor"
)
_ONE = (
    "actor|column|directory|entry|file|folder|instance|interpreter|job|line|model|module|name|"
    "object|process|record|request|row|test|thread|transaction|worker"
)
IDIOMS = {
    rf"an? (?:{_ONE}) an? (?:{_EACH})": "one row per picture",
    rf"one an? (?:{_EACH})": "one per core",
    r"(?:is|are|be|was|were) told by|told by (?:its|their|the)": "detected from",
    r"(?:go|goes|going|went|gone) on (?:with|where|as|when|from|until|for ever)|goes on": (
        "continues, resumes, keeps running"
    ),
    r"was blind|is blind|blind, sighted": "was lost; lost, restored",
    r"by (?:itself|themselves)": "automatically, alone; or leave it out",
    r"all the same": "still, anyway; or leave it out",
    r"(?:is|was|are|were) (?:first )?asked for": "required, wanted; the first time you run it",
    r"at (?:its|their) word": "often wrong",
    r"where there (?:is|was|are|were) (?:no|none)": "without a ..., if it is missing",
    r"nobody here": "held-out",
    r"bounded on the disk": "have a size limit",
    r"says how far": "reports the difference",
    r"sa(?:y|ys|id) of (?:itself|one|it|the|them|a|this|what)": "reports about, predicts for",
    r"time of change": "modification time",
    r"of ours": "name what it is",
    r"anew": "again",
    r"broken off": "interrupted",
    r"(?:at most|after|only|over) so many": "N, this many",
    r"so many (?:pictures|frames|seconds|bytes)": "N pictures, this many",
    r"in place of": "instead of",
    r"for ever": "forever",
    r"pictures that nobody|has seen smoking": "held-out pictures",
}
"""Regular expressions, and what to write in their place."""


def documents() -> list[Path]:
    """The texts of the project: documents, code with its comments, and configuration."""
    found = []
    for room in ROOMS:
        paths = (ROOT / room).rglob("*") if room else ROOT.iterdir()
        found += [path for path in paths if path.suffix in ENDINGS or path.name in NAMES]
    return sorted(path for path in set(found) if path.is_file() and path != Path(__file__))


def find(text: str) -> list[tuple[int, str, str]]:
    """Line, words and alternative of every idiom in a text, also where it runs over two lines."""
    hits = []
    for idiom, better in IDIOMS.items():
        # Between two words may be the end of a line, of a string, or the mark of a comment.
        pattern = rf"\b(?:{idiom})\b".replace(" ", r"(?:[\s\"#*]|\bf(?=\"))+")
        for match in re.finditer(pattern, text, re.IGNORECASE):
            words = " ".join(re.sub(r"[\s\"#*]+", " ", match[0]).split())
            hits.append((text.count("\n", 0, match.start()) + 1, words, better))
    return sorted(hits)


def report(paths: list[Path]) -> list[str]:
    return [
        f'{path.relative_to(ROOT)}:{line}: "{words}": write: {better}'
        for path in paths
        for line, words, better in find(path.read_text(encoding="utf-8"))
    ]


def test_no_text_has_an_idiom_that_readers_stumble_over():
    hits = report(documents())
    assert not hits, "\n".join(hits)


def test_idioms_are_found_across_lines_strings_and_comments():
    assert find("a database with a row\n# a picture, and more")[0][1] == "a row a picture"
    assert find('"it goes on "\n    "with the rest"')[0][:2] == (1, "goes on with")
    assert find("An arrow a pictured thing goes one with") == []


def test_the_texts_of_every_room_are_looked_at():
    looked = {path.relative_to(ROOT).parts[0] for path in documents()}
    assert {room for room in ROOMS if room and room != "samples"} <= looked
    assert {"README.md", "Dockerfile", "run.py"} <= looked


if __name__ == "__main__":
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or documents()
    print("\n".join(report(chosen)))
