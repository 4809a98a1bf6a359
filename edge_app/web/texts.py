"""Every sentence of the page, in English and Indonesian.

The browser switches the language in place, by looking sentences up: see ``language.js``.
"""

from __future__ import annotations

from edge_app.web import english, indonesian

TEXTS = {"en": english.TEXTS, "id": indonesian.TEXTS}

LANGUAGES = {"en": "English", "id": "Bahasa Indonesia"}

GRADIO = {
    "Drop Image Here": "g_drop",
    "Drop File Here": "g_drop_files",
    "- or -": "g_or",
    "Click to Upload": "g_click",
    "common.upload": "g_upload",
    "Upload file": "g_upload",
    "Use via API": "g_api",
    "Gunakan melalui API": "g_api",
    "Capture from camera": "g_camera",
    "Paste from clipboard": "g_paste",
    "Paste from Clipboard": "g_paste",
    "Click to Access Webcam": "g_allow_camera",
    "grant webcam access": "g_allow_camera",
    "Drop an image file here to upload": "g_drop",
    "Click to upload or drop files": "g_click",
    "File upload": "g_upload",
    "start recording": "g_start",
    "Record": "g_start",
    "stop recording": "g_stop",
    "capture photo": "g_shoot",
    "Remove Image": "g_remove",
    "Remove this file": "g_remove_file",
    "image.no_webcam_support": "no_camera",
    "This application is currently busy. Please try again.": "error_busy",
    "Connection errored out.": "error_offline",
    "Failed to fetch": "error_offline",
    "Connection errored out. {reason}": "error_offline",
    "Connection to the server was lost. Attempting reconnection...": "g_lost",
    "NetworkError when attempting to fetch resource.": "error_offline",
    "Load failed": "error_offline",
    "File(s) exceed the maximum allowed size of {size}: {names}": "g_too_large",
    "Waiting for file(s) to finish uploading, please retry.": "g_wait_files",
}
"""What Gradio says, and which of our sentences stands in its place."""


def language_of(accepted: str | None) -> str:
    """The language of the page for a browser's ``Accept-Language``: the first that we have.

    >>> language_of("fr-FR,id;q=0.9,en;q=0.8")
    'id'
    """
    for item in (accepted or "").split(","):
        code = item.split(";")[0].split("-")[0].strip().lower()
        if code in TEXTS:
            return code
    return "en"


def text(language: str, key: str, **values: object) -> str:
    """A sentence in a language, with its values filled in. A label of another model is itself."""
    return TEXTS[language].get(key, key).format(**values)


def percent(language: str, share: float) -> str:
    """A share in [0, 1] for people, to a tenth of a percent, with the language's own comma.

    >>> percent("id", 0.8269)
    '82,7%'
    """
    return decimal(language, f"{share:.1%}")


def decimal(language: str, number: str) -> str:
    """A number in text with the language's own decimal mark."""
    return number.replace(".", ",") if language == "id" else number
