"""Passwords never show: the one place that decides what of an address people and logs may see.

Cameras take passwords in the account of a URL (``rtsp://user:password@host``), in its query
(``?loginpas=...``), or in its path (``/user=admin_password=..._channel=1``, XMeye). Passwords may
hold ``#``, ``/``, ``?`` and ``@`` unquoted, where a URL parser takes half of one for the host.
Where it is not certain which part is the password, everything that may be is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

HIDDEN = "..."

_KEY = re.compile(r"([A-Za-z][\w-]*?)=")
_HARMLESS = re.compile(
    r"_?(user|usr|username|loginuse|channel|ch|chn|subtype|stream|streamtype|profile|resolution|"
    r"width|height|size|fps|rate|quality|transport|transportmode|unicast|proto|camera|cam|action)",
    re.IGNORECASE,
)
"""Keys whose values are no password. At the first other key the rest is left out."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>]+")


@dataclass(frozen=True)
class Address:
    """The parts of an address: ``scheme://user:password@rest``.

    >>> address = Address.of("rtsp://ani:a/b#c@camera.local/live")
    >>> address.user, address.password, address.rest
    ('ani', 'a/b#c', 'camera.local/live')
    """

    scheme: str
    user: str | None
    password: str | None
    rest: str

    @classmethod
    def of(cls, url: str) -> Address:
        """Splits an address at its last ``@`` of the account, so that a password may hold any sign.

        An ``@`` after the first ``=`` of a path or query belongs to that, not to the account.
        """
        scheme, separator, rest = url.partition("://")
        if not separator:
            scheme, rest = "", url
        authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
        account, at, place = rest.rpartition("@")
        if at and "=" in account[len(authority) :]:
            account, at, place = authority.rpartition("@")
            place += rest[len(authority) :]
        if not at:
            return cls(scheme, None, None, rest)
        user, colon, password = account.partition(":")
        return cls(scheme, user, password if colon else None, place)


def shown(source: str) -> str:
    """Returns an address as it may be shown and logged, without any password.

    >>> shown("rtsp://user:secret@camera.local/live")
    'rtsp://user@camera.local/live'
    >>> shown("http://camera.local/video?user=ani&password=secret")
    'http://camera.local/video?user=ani&password=...'
    >>> shown("rtsp://10.0.0.9:554/user=admin_password=x_y_channel=1_stream=0.sdp")
    'rtsp://10.0.0.9:554/user=admin_password=...'
    >>> shown("holiday.mp4")
    'holiday.mp4'
    """
    if "://" not in source and not re.search(r":[^:]*@|pas\w*=|pwd=|token=", source, re.I):
        return source  # a device or a file
    address = Address.of(source)
    scheme = f"{address.scheme}://" if "://" in source else ""
    if "@" in address.rest:
        return f"{scheme}{HIDDEN}"  # which part is the password cannot be known
    rest = _without_values(address.rest)
    if address.user is None:
        return f"{scheme}{rest}"
    # An account without a password may be a token.
    is_name = address.password is not None and re.fullmatch(r"[\w.%+-]*", address.user)
    return f"{scheme}{address.user if is_name else HIDDEN}@{rest}"


def redact(text: str, *addresses: str) -> str:
    """Returns a text, such as an error of a driver, without passwords.

    Args:
        text: what is to be shown.
        addresses: sources and brokers that it may speak of, with their passwords.

    >>> redact("no route to rtsp://ani:secret@10.0.0.9/live")
    'no route to rtsp://ani@10.0.0.9/live'
    >>> redact("port 'a/b' is no number", "mqtt://ani:a/b@home")
    "port '...' is no number"
    """
    for source in addresses:
        text = text.replace(source, shown(source))
        password = Address.of(source).password or ""
        if not password:  # no account was found, but whatever may be one ends at the last @
            password = source.partition("://")[2].rpartition("@")[0].partition(":")[2]
        plain = (password, unquote(password))
        written = {quote(secret, safe="") for secret in plain} | {repr(s)[1:-1] for s in plain}
        for secret in sorted({*plain, *written}, key=len, reverse=True):
            if len(secret) > 3:
                text = text.replace(secret, HIDDEN)
            elif secret:  # a short one may be part of any word
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return _URL.sub(lambda match: shown(match[0]), text)


def _without_values(rest: str) -> str:
    """Host, path and query up to the first value that may be secret."""
    for match in _KEY.finditer(rest):
        if not _HARMLESS.fullmatch(match[1].rpartition("_")[2]):
            return rest[: match.end()] + HIDDEN
    return rest
