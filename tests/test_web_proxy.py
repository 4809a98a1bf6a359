"""The page behind nginx with TLS, as ``deploy/nginx.conf`` sets it up."""

import contextlib
import getpass
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from urllib.parse import urlsplit

import pytest
from conftest import ROOT
from webpage import WAIT, chromium, free_port, served

playwright_api = pytest.importorskip("playwright.sync_api", reason="needs requirements-dev.txt")
pytest.importorskip("gradio", reason="needs requirements-web.txt")


@contextlib.contextmanager
def proxied(folder, page):
    """nginx with the file from deploy/, its name, ports and certificate replaced."""
    nginx, openssl = shutil.which("nginx", path="/usr/sbin:/usr/bin"), shutil.which("openssl")
    if not (nginx and openssl):
        pytest.skip("needs nginx and openssl: apt-get install nginx openssl")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]  # noqa: RUF005
        + ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost"],
        check=True,
        capture_output=True,
    )
    port = free_port()
    site = (ROOT / "deploy" / "nginx.conf").read_text()
    site = site.replace("smoking.example.org;", "localhost;")
    site = re.sub(r"(ssl_certificate) \S+;", rf"\1 {certificate};", site)
    site = re.sub(r"(ssl_certificate_key) \S+;", rf"\1 {key};", site)
    site = site.replace("listen 443", f"listen 127.0.0.1:{port}")
    site = site.replace("listen 80", f"listen 127.0.0.1:{free_port()}")
    site = site.replace("127.0.0.1:7860", urlsplit(page).netloc)
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "main.conf"
    main.write_text(
        f"user {getpass.getuser()};\ndaemon off;\npid {folder / 'pid'};\n"
        f"error_log {folder / 'error.log'};\nevents {{}}\n"
        f"http {{ access_log off;\n{temporary}{site} }}\n"
    )
    process = subprocess.Popen([nginx, "-c", main], stderr=subprocess.PIPE)
    try:
        yield f"https://localhost:{port}/smoking/"
    finally:
        process.terminate()
        process.wait(timeout=30)


def fetch(url):
    trusting = ssl._create_unverified_context()  # its certificate is of this test
    for _ in range(100):
        with (
            contextlib.suppress(ConnectionError, urllib.error.URLError),
            urllib.request.urlopen(url, timeout=60, context=trusting) as answer,
        ):
            return answer.read().decode()
        time.sleep(0.2)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.slow
def test_behind_nginx_with_tls_a_picture_is_answered_under_a_path(tmp_path):
    options = ("--root-path", "/smoking", "--allow-host", "localhost")
    with (
        served(tmp_path / "web", *options) as page,
        proxied(tmp_path, page) as url,
        chromium() as browser,
    ):
        assert "gradio" in fetch(url)
        context = browser.new_context(ignore_https_errors=True, locale="en-US")
        context.set_default_timeout(WAIT)
        requests, said = [], []
        visitor = context.new_page()
        visitor.on("request", lambda request: requests.append(request.url))
        visitor.on("response", lambda answer: answer.ok or said.append((answer.status, answer.url)))
        visitor.on("requestfailed", lambda request: said.append((request.failure, request.url)))
        visitor.on("console", lambda line: line.type == "error" and said.append(line.text))
        visitor.on("pageerror", lambda error: said.append(str(error)))
        visitor.goto(url)
        try:
            visitor.get_by_role("button", name="Cup of coffee").click()
            visitor.locator("#result .answer").filter(visible=True).wait_for()
        except playwright_api.Error as error:
            logged = (tmp_path / "error.log").read_text()
            raise AssertionError(f"{said} {logged} {visitor.content()[:2000]}") from error
        told = [line for line in said if line[0] != "net::ERR_ABORTED"]  # a stream that it closed
        assert told == []
        sent = [u for u in requests if u.startswith("http")]
        assert {u for u in sent if not u.startswith(url)} == set()
