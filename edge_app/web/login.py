"""The login: one user, one password, and no patience for guessing."""

from __future__ import annotations

import hashlib
import html
import secrets
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from edge_app.lockout import Lockout, address_of
from edge_app.web.bodies import BodyError, checked_receive
from edge_app.web.guard import route_of
from edge_app.web.texts import language_of, text

_MOST_TOKENS = 1_000
"""Logins that are remembered; the oldest is forgotten."""
_TOKEN_SECONDS = 7 * 24 * 3600
_FOLDER = Path(__file__).parent


class Login:
    """Middleware: shows the login to those who have not passed it, before reading anything else.

    A browser gets a page, and a program (``gradio_client``) JSON, from the same address.
    """

    def __init__(self, app: ASGIApp, user: str, password: str, uploads: Path):
        self.app = app
        self._wanted = _digest(user, password)
        self._uploads = uploads
        self._tokens: dict[str, float] = {}
        self._lockout = Lockout()
        self._cookie = f"login-{secrets.token_hex(4)}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        route, headers = route_of(scope).rstrip("/"), Headers(scope=scope)
        token = _cookie_of(headers, self._cookie)
        is_in = time.time() - self._tokens.get(token, 0) < _TOKEN_SECONDS
        language = language_of(headers.get("accept-language"))
        response: Response
        if route == "/login" and scope["method"] == "POST":
            response = await self._try(scope, receive, headers, language)
        elif route == "/logout":
            self._tokens.pop(token, None)
            response = _redirect(scope)
            response.delete_cookie(self._cookie)
        elif is_in:
            await self.app(scope, receive, send)
            return
        elif route in ("", "/login") and scope["method"] in ("GET", "HEAD"):
            response = _page(language)
        elif route == "/favicon.ico":
            response = Response((_FOLDER / "mark.svg").read_bytes(), media_type="image/svg+xml")
        else:
            response = JSONResponse({"detail": "Not authenticated"}, 401)
        await response(scope, receive, send)

    async def _try(
        self, scope: Scope, receive: Receive, headers: Headers, language: str
    ) -> Response:
        is_browser = "text/html" in headers.get("accept", "")
        address = address_of(scope)
        if seconds := self._lockout.seconds(address):
            return _no(language, is_browser, 429, "login_locked", "", seconds=seconds)
        try:
            async with checked_receive(scope, "/login", receive, self._uploads) as checked:
                body = (await checked())["body"]
        except BodyError as error:
            return _no(language, is_browser, error.status, error.key, "")
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=10)
        user, password = (form.get(name, [""])[0] for name in ("username", "password"))
        if not secrets.compare_digest(_digest(user.strip(), password), self._wanted):
            self._lockout.add(address)
            return _no(language, is_browser, 400, "login_wrong", user)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.time()
        if len(self._tokens) > _MOST_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        response = _redirect(scope) if is_browser else JSONResponse({"success": True})
        response.set_cookie(
            self._cookie,
            token,
            max_age=_TOKEN_SECONDS,
            httponly=True,
            samesite="lax",
            secure=scope.get("scheme") == "https",
        )
        return response


def _digest(user: str, password: str) -> bytes:
    return hashlib.sha256(f"{user}\0{password}".encode()).digest()


def _cookie_of(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _redirect(scope: Scope) -> Response:
    return RedirectResponse((scope.get("root_path") or "") + "/", 303)


def _no(
    language: str, is_browser: bool, status: int, key: str, user: str, **values: object
) -> Response:
    message = text(language, key, **values)
    retry = {"Retry-After": str(values["seconds"])} if "seconds" in values else {}
    if is_browser:
        return _page(language, user, message, status, retry)
    return JSONResponse({"detail": message}, status, retry)


def _page(
    language: str,
    user: str = "",
    message: str = "",
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    def say(key: str) -> str:
        return html.escape(text(language, key))

    alert = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    focus_user, focus_password = ("", " autofocus") if user else (" autofocus", "")
    return HTMLResponse(
        (_FOLDER / "login.html")
        .read_text(encoding="utf-8")
        .format(
            language=language,
            brand=say("brand"),
            title=say("login_title"),
            user_label=say("login_user"),
            password_label=say("login_password"),
            button=say("login_button"),
            alert=alert,
            user=html.escape(user, quote=True),
            focus_user=focus_user,
            focus_password=focus_password,
        ),
        status,
        headers,
    )
