"""No password of a source or a broker shows, whatever it holds and wherever it stands."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_app.live.redact import Address, redact, shown

MARK, END = "Zq7x", "9kWv"
# Everything that a person may type; the marks show whether a part of it was left.
passwords = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12).map(
    lambda text: f"{MARK}{text}{END}"
)
names = st.from_regex(r"[a-z][a-z0-9_.]{0,9}", fullmatch=True)
hosts = st.sampled_from(["camera.local", "10.0.0.9:554", "[fe80::1]:554", "host"])
schemes = st.sampled_from(["rtsp", "rtsps", "http", "https", "mqtt", "mqtts", "rtmp"])
paths = st.sampled_from(["", "/", "/live", "/cam/realmonitor?channel=1&subtype=0", "/a/b.sdp?real"])
keys = st.sampled_from(
    ["password", "pwd", "pass", "loginpas", "passwd", "token", "auth", "p", "secret", "PASSWORD"]
)


@given(schemes, names, passwords, hosts, paths)
@example("rtsp", "ani", f"{MARK}a#b/c?d@e{END}", "camera.local", "/live")
@example("rtsp", "ani", f"{MARK}/a=b@c{END}", "camera.local", "/live?x=y@z")
@settings(max_examples=300, deadline=None)
def test_a_password_of_an_account_never_shows(scheme, user, password, host, path):
    text = shown(f"{scheme}://{user}:{password}@{host}{path}")
    assert MARK not in text
    assert END not in text
    assert text.startswith(f"{scheme}://")


@given(schemes, names, passwords, hosts, keys, st.sampled_from(["/v.cgi?user={}&", "/user={}_"]))
@settings(max_examples=300, deadline=None)
def test_a_password_of_a_query_or_a_path_never_shows(scheme, user, password, host, key, place):
    text = shown(f"{scheme}://{host}{place.format(user)}{key}={password}&channel=1")
    assert MARK not in text
    assert END not in text


@given(schemes, names, passwords, hosts, paths, st.sampled_from(["{}", "{0!r}: no route", "<{}>"]))
@example("rtsp", "a", f"{MARK}#={END}", "camera.local", "", "{}")
@settings(max_examples=200, deadline=None)
def test_nothing_shows_in_a_message_that_quotes_the_address_or_the_password(
    scheme, user, password, host, path, form
):
    source = f"{scheme}://{user}:{password}@{host}{path}"
    for quoted in (source, password):
        assert MARK not in redact(f"error: {quoted} failed", source)
    assert MARK not in redact(form.format(source.split("//")[1]), source)


@given(names, st.from_regex(r"[A-Za-z0-9!$%^*.]{4,20}", fullmatch=True), hosts)
@settings(deadline=None)
def test_an_address_in_any_text_is_found(user, password, host):
    text = redact(f"[tcp] failed to open 'rtsp://{user}:{MARK}{password}@{host}/live': timeout")
    assert MARK not in text
    assert text.endswith("': timeout")


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_shown(text):
    assert isinstance(shown(text), str)
    assert isinstance(redact(text, text), str)
    assert isinstance(Address.of(text), Address)


@pytest.mark.parametrize(
    "source",
    [
        *("0", "/dev/video0", "picamera1", "holiday.mp4", "clip@2x.mp4", "C:/videos/a.mp4"),
        *("rtsp://10.0.0.9:554/cam/realmonitor?channel=1&subtype=0", "http://host/a?b"),
    ],
)
def test_what_holds_no_password_is_shown_as_it_is(source):
    assert shown(source) == source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://ani:a#b/c@camera.local/live", "rtsp://ani@camera.local/live"),
        ("http://h/v.cgi?loginuse=ani&loginpas=x", "http://h/v.cgi?loginuse=ani&loginpas=..."),
        ("rtsp://token@host/live", "rtsp://...@host/live"),
        ("ani:secret@host/live", "ani@host/live"),
    ],
)
def test_as_much_is_shown_as_can_be(source, expected):
    assert shown(source) == expected
