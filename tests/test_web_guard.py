"""What of the page and of the server is reachable, over real HTTP, and for whom."""

import http.server
import json
import re
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from webpage import JSON, ask

pytest.importorskip("gradio", reason="needs requirements-web.txt")


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("GET", "gradio_api/runs"),
        ("GET", "gradio_api/deep_link?session_hash=abc"),
        ("GET", "?deep_link=abc"),
        ("GET", "gradio_api/file=http://127.0.0.1:9/a.jpg"),
        ("GET", "gradio_api/file=/etc/passwd"),
        ("GET", "gradio_api/proxy=http://127.0.0.1:9/a.jpg"),
        ("GET", "monitoring"),
        ("GET", "gradio_api/vibe-code"),
        ("GET", "docs"),
        ("GET", "openapi.json"),
        ("GET", "samples/../app.py"),
        ("POST", "gradio_api/process_recording"),
        ("POST", "gradio_api/component_server"),
        ("POST", "gradio_api/run/classify"),
        ("POST", "gradio_api/api/classify"),
        ("POST", "gradio_api/call/v2/classify"),
        ("POST", "gradio_api/call/classify_batch"),
        ("PUT", "gradio_api/upload"),
        ("DELETE", ""),
    ],
)
def test_what_the_page_does_not_need_is_not_there(site, method, route):
    status, _ = ask(site + route, b"{}" if method == "POST" else None, method)
    assert status == 404


def test_every_route_that_gradio_has_is_either_needed_or_refused():
    """A new version of Gradio may add routes: none of them opens without a decision."""
    import re

    import fastapi
    import gradio as gr
    from starlette.routing import Mount

    from edge_app.web.guard import _ALLOWED

    with gr.Blocks() as blocks:
        pass
    app = gr.mount_gradio_app(fastapi.FastAPI(), blocks, "/", ssr_mode=False)
    (mounted,) = [route.app for route in app.routes if isinstance(route, Mount)]
    # FastAPI keeps the routes of an included router in the router.
    included = [getattr(route, "original_router", None) for route in mounted.routes]
    routes = [*mounted.routes, *(r for router in included if router for r in router.routes)]
    paths = {route.path for route in routes if hasattr(route, "path")}
    assert len(paths) > 30
    opened = {
        path
        for path in paths
        if any(rule.fullmatch(re.sub(r"{\w+(:path)?}", "x", path)) for rule in _ALLOWED.values())
    }
    wanted = ("config", "theme", "favicon", "robots", "manifest", "login", "logout", "static")
    wanted += ("assets", "info", "startup", "app_id", "heartbeat", "queue", "upload", "call")
    wanted += ("file=", "stream", "cancel", "reset")
    assert {path for path in opened if path != "/" and not any(w in path for w in wanted)} == set()


def test_requests_of_another_site_are_refused(site):
    url, body = f"{site}gradio_api/queue/join", b"{}"
    assert ask(url, body, **JSON, Origin="https://evil.example")[0] == 403
    assert ask(url, body, **JSON, Origin="null")[0] == 403
    assert ask(url, body, **JSON, Sec_Fetch_Site="cross-site")[0] == 403
    assert ask(url, body, **JSON, Origin=site.rstrip("/"))[0] not in (403, 404)


def test_a_foreign_host_name_is_refused_and_told_how_to_allow_it(site):
    status, text = ask(site, Host="evil.example")
    assert status == 421 and "--allow-host evil.example" in text
    assert ask(site, Host=f"localhost:{urlsplit(site).port}")[0] == 200


def call(site, payload):
    """The answer of the API to a request that the page never sends."""
    request = urllib.request.Request(
        f"{site}gradio_api/call/classify",
        json.dumps({"data": [payload]}).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            event = json.load(response)["event_id"]
        with urllib.request.urlopen(
            f"{site}gradio_api/call/classify/{event}", timeout=60
        ) as response:
            return response.read().decode()
    except urllib.error.HTTPError as error:
        return f"event: error {error}"


def test_only_uploaded_files_are_read(site, samples):
    for path in (
        samples / "coffee.jpg",
        ROOT / "models" / "README.md",
        Path("/etc/passwd"),
        "../../../../etc/passwd",
        "samples/coffee.jpg",
    ):
        answer = call(site, {"path": str(path), "meta": {"_type": "gradio.FileData"}})
        assert "event: error" in answer
        assert "label" not in answer
        assert "event: error" in call(site, {"path": str(path)})


def test_no_address_is_asked_for(site):
    asked = []

    class Note(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Note) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/picture.jpg"
        for payload in ({"path": address}, {"path": address, "url": address}):
            answer = call(site, {**payload, "meta": {"_type": "gradio.FileData"}})
            assert "event: error" in answer
        for route in ("proxy=", "file="):
            with pytest.raises(urllib.error.HTTPError):
                opener = urllib.request.build_opener(NoRedirect)
                opener.open(f"{site}gradio_api/{route}{address}", timeout=60)
        server.shutdown()
    assert asked == []


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


def test_files_of_the_server_are_not_served(site):
    for path in ("/etc/passwd", "../../../../etc/passwd", str(ROOT / "README.md"), "README.md"):
        for route in (f"gradio_api/file={path}", f"static/{path}", f"assets/{path}"):
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(f"{site}{route}", timeout=60)
            assert caught.value.code in (403, 404)


def test_the_page_keeps_to_itself_and_says_so_in_its_headers(site):
    with urllib.request.urlopen(site, timeout=60) as response:
        html, headers = response.read().decode(), response.headers
    outside = set(re.findall(r'(?:src|href)="(https?://[^"]+)"', html))
    assert {url for url in outside if "127.0.0.1" not in url} == set()
    assert "connect-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_other_interfaces_do_not_answer_unless_asked(site):
    port = urlsplit(site).port
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=10).close()
