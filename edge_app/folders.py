"""Folders that systems and programs keep for themselves, which hold no pictures of the user's.

Thumbnails, deleted files and copies that a program made of its originals would be counted as
pictures a second time.
"""

from __future__ import annotations

SYSTEM_FOLDERS = frozenset(
    {
        "@eadir",  # Synology: thumbnails
        "#recycle",  # Synology: deleted files
        "#snapshot",  # Synology: earlier states of the same files
        "@recycle",  # QNAP: deleted files
        "@recently-snapshot",  # QNAP
        "$recycle.bin",  # Windows: deleted files
        "recycler",  # Windows XP: deleted files
        "system volume information",  # Windows
        "found.000",  # Windows: pieces of files that a check of the disk found
        "lost+found",  # Linux: the same
        "__macosx",  # what macOS adds to a ZIP archive
    }
)
"""Names of folders that are skipped, in lower case."""

_LIBRARIES = {
    ".photoslibrary": ("originals", "masters"),  # Photos of macOS, newer and older
    ".migratedphotolibrary": ("originals", "masters"),
    ".photolibrary": ("masters", "originals"),  # iPhoto
    ".aplibrary": ("masters",),  # Aperture
    ".lrdata": (),  # previews of Lightroom
}
"""Folders of which only some are the user's own pictures, by the ending of their name."""


def skip_reason(name: str, above: str) -> str | None:
    """Why a folder is skipped, unless all folders are scanned.

    Args:
        name: of the folder.
        above: name of the folder that holds it.

    Returns:
        What to call it in a summary, as ``@eaDir`` or ``inside .photoslibrary``; None for an
        ordinary folder.

    >>> skip_reason("@eaDir", "2024"), skip_reason("resources", "Mine.photoslibrary")
    ('@eaDir', 'inside .photoslibrary')
    >>> skip_reason("originals", "Mine.photoslibrary")
    """
    if name.lower() in SYSTEM_FOLDERS:
        return name
    for ending, own in _LIBRARIES.items():
        if above.lower().endswith(ending) and name.lower() not in own:
            return f"inside {ending}"
    return None
