"""The page of a live run: who may see it, what it costs, what a real browser shows."""

import base64
import http.client
import json
import math
import re
import socket
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")
pytest.importorskip("uvicorn", reason="needs requirements-live.txt")

from live_servers import get, wait_for  # noqa: E402

from edge_app import Prediction  # noqa: E402
from edge_app.cli.live import live  # noqa: E402
from edge_app.live import Camera, Moment, Zone  # noqa: E402
from edge_app.live.devices import why_not  # noqa: E402
from edge_app.live.frames import Frame  # noqa: E402
from edge_app.live.view.hub import Hub  # noqa: E402
from edge_app.live.view.server import Server, is_loopback, parse_address  # noqa: E402
from edge_app.live.view.texts import TEXTS, language_of, reason_of  # noqa: E402

CAMERA = Camera("rtsp://me:s3cret@camera.local/live", "Front door")
SIZE = (480, 640, 3)


def moment(camera=CAMERA, grey=100, number=0, score=0.3, state="clear"):
    now = time.monotonic()
    frame = Frame(np.full(SIZE, grey, np.uint8), number, now, now)
    evidence = np.array([[-2.0, 2.0]], np.float32)
    prediction = Prediction("NotSmoking", 1 - score, score, evidence=evidence)
    return Moment(camera, frame, prediction, None, "Smoking", state, score, 5.0, 0.02, 3)


@pytest.fixture
def hub():
    return Hub([CAMERA, Camera("1", "Yard")])


@pytest.fixture
def server(hub):
    with Server(hub, ("127.0.0.1", 0)) as running:
        yield running


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.9", "example.org", ""])
def test_an_address_that_others_can_reach_needs_a_password(hub, host):
    assert not is_loopback(host)
    with pytest.raises(ValueError, match="--auth"):
        Server(hub, (host, 0))


def test_the_command_refuses_to_serve_others_without_a_password(samples):
    arguments = ["--source", str(samples / "coffee.jpg"), "--serve", "0.0.0.0:0"]
    result = CliRunner().invoke(live, arguments)
    assert result.exit_code == 2
    assert "a password is needed (--auth)" in result.output


@pytest.mark.parametrize("address", ["x", "host:", ":80", "1.2.3.4:99999", "a:b:c"])
def test_an_address_without_sense_is_refused(address):
    with pytest.raises(ValueError, match=r"expected \[HOST:\]PORT"):
        parse_address(address)


@pytest.mark.parametrize("path", ["/", "/stream/0-front-door.mjpg", "/updates", "/metrics"])
def test_nothing_is_shown_without_the_password(hub, path):
    with Server(hub, ("127.0.0.1", 0), ("ani", "pässwörd:1")) as server:
        for headers in (
            *({}, {"Authorization": "Basic !!!"}, {"Authorization": "Bearer x"}),
            {"Authorization": basic("ani", "wrong")},
        ):
            status, answer, body = get(server.url + path, **headers)
            assert (status, b"Front" in body) == (401, False)
            assert answer["WWW-Authenticate"].startswith("Basic")
        allowed = {"Authorization": basic("ani", "pässwörd:1")}
        status, answer, _ = get(f"{server.url}/", **allowed)
        assert status == 200
        assert answer.get("Set-Cookie") is None  # no session that could be stolen or fixed


def test_after_five_wrong_passwords_even_the_right_one_has_to_wait(hub, monkeypatch):
    with Server(hub, ("127.0.0.1", 0), ("ani", "secret")) as server:
        wrong, right = ({"Authorization": basic("ani", word)} for word in ("wrong", "secret"))
        assert get(server.url)[0] == 401  # as a browser first asks; no guess
        answers = [get(server.url, **wrong)[0] for _ in range(7)]
        assert answers == [401] * 5 + [429] * 2
        status, headers, body = get(server.url, **right)
        assert (status, b"Try again in" in body) == (429, True)
        assert 0 < int(headers["Retry-After"]) <= 60
        assert get(f"{server.url}/health")[0] != 429
        monkeypatch.setattr("edge_app.lockout.LOCK_SECONDS", 0)
        assert get(server.url, **right)[0] == 200


def test_health_needs_no_password_and_names_nobody(hub):
    with Server(hub, ("127.0.0.1", 0), ("ani", "secret")) as server:
        status, _, body = get(f"{server.url}/health")
        assert (status, json.loads(body)["ok"]) == (503, False)
        for camera in (seen.camera for seen in hub.cameras.values()):
            hub.frame(moment(camera))
        status, _, body = get(f"{server.url}/health")
    assert (status, json.loads(body)) == (200, {"ok": True, "cameras": 2, "connected": 2})


def test_a_foreign_name_that_leads_here_sees_nothing(server):
    assert get(f"{server.url}/", Host="evil.example")[0] == 400
    assert get(f"{server.url}/", Host="localhost:1")[0] == 200


def test_the_headers_keep_the_page_to_itself(server):
    _, headers, _ = get(f"{server.url}/")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/clip/..%2Fsecret", "/clip/smoking-x.webm", "/view.py", "/x"])
def test_no_other_file_is_served(server, path):
    assert get(server.url + path)[0] == 404


def test_passwords_show_nowhere(server, hub):
    hub.frame(moment())
    hub.sink(CAMERA)({"event": "lost", "reason": "the camera stopped sending"})
    unnamed = Hub([Camera(CAMERA.source)])
    unnamed.frame(moment(unnamed.cameras["0"].camera))
    with Server(unnamed, ("127.0.0.1", 0)) as other:
        for url in (server.url, other.url):
            for path in ("/", "/metrics", "/health", "/history/0-front-door"):
                assert b"s3cret" not in get(url + path)[2]


def test_metrics_are_what_prometheus_reads(server, hub):
    from prometheus_client.parser import text_string_to_metric_families

    def measured():
        status, headers, body = get(f"{server.url}/metrics")
        assert status == 200
        assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return {
            (sample.name, sample.labels.get("camera")): sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
        }

    for number in range(3):
        hub.frame(moment(number=number))
    found = measured()
    assert found["smoking_live_latency_seconds", "Front door"] == 0.02
    assert 0 < found["smoking_live_score", "Front door"] < 1
    hub.sink(CAMERA)({"event": "lost", "reason": "the camera stopped sending"})
    found = measured()
    assert found["smoking_live_frames_total", "Front door"] == 3
    assert found["smoking_live_dropped_frames_total", "Front door"] == 3
    assert found["smoking_live_outages_total", "Front door"] == 1
    assert found["smoking_live_connected", "Front door"] == 0
    assert math.isnan(found["smoking_live_score", "Front door"])  # of no frame of now
    assert math.isnan(found["smoking_live_latency_seconds", "Front door"])
    assert found["smoking_live_frames_total", "Yard"] == 0


class Watcher:
    """Takes a stream of pictures, as a browser does."""

    def __init__(self, server, path="/stream/0-front-door.mjpg"):
        host, port = server.url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=20)
        self.connection.request("GET", path)
        self.answer = self.connection.getresponse()
        self.pictures = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            while line := self.answer.readline():
                if line.lower().startswith(b"content-length"):
                    self.answer.readline()
                    self.pictures.append(self.answer.read(int(line.split(b":")[1])))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # closed; http.client stumbles over it

    def close(self):
        self.connection.sock and self.connection.sock.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def feed(hub, seconds, rate=50):
    """Results as fast as a run may give them."""
    count = int(seconds * rate)
    for number in range(count):
        hub.frame(moment(grey=number % 250, number=number))
        time.sleep(1 / rate)
    return count


def test_while_nobody_watches_no_picture_is_encoded(hub, server):
    feed(hub, 0.5)
    assert hub.cameras["0-front-door"].encoded == 0


def test_five_watchers_cost_what_one_costs_and_none_is_left_behind(hub, server):
    watchers = [Watcher(server) for _ in range(5)]
    wait_for(lambda: hub.watchers == 5)
    start = time.monotonic()
    feed(hub, 3)
    took = time.monotonic() - start
    wait_for(lambda: all(len(watcher.pictures) > 3 for watcher in watchers))
    assert hub.cameras["0-front-door"].encoded <= took * hub.fps + 2
    decoded = cv2.imdecode(np.frombuffer(watchers[0].pictures[-1], np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == SIZE
    for watcher in watchers:
        watcher.close()
    wait_for(lambda: hub.watchers == 0)
    encoded = hub.cameras["0-front-door"].encoded
    feed(hub, 0.5)
    assert hub.cameras["0-front-door"].encoded == encoded


def test_a_watcher_of_a_lost_camera_that_leaves_is_noticed(hub, server):
    watcher = Watcher(server)
    wait_for(lambda: hub.watchers == 1)
    watcher.close()
    wait_for(lambda: hub.watchers == 0)


def test_a_watcher_who_reads_nothing_does_not_hold_up_the_cameras(hub, server):
    hub.cameras["0-front-door"]._size = 4000
    with socket.create_connection(("127.0.0.1", int(server.url.split(":")[-1]))) as connection:
        connection.sendall(b"GET /stream/0-front-door.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_for(lambda: hub.watchers == 1)
        start = time.monotonic()
        feed(hub, 1)
        assert time.monotonic() - start < 30  # held up, it would never end


def test_large_frames_are_made_smaller(hub, server):
    hub.frame(moment())
    hub.cameras["0-front-door"]._size = 320
    picture = get(f"{server.url}/picture/0-front-door.jpg")[2]
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), 1).shape == (240, 320, 3)


def test_an_event_keeps_its_best_frame_and_their_number_is_bounded(hub):
    record = hub.sink(CAMERA)
    for number in range(130):
        started = f"2026-01-01T00:00:{number % 60:02}Z"
        hub.frame(moment(state="clear"))
        for grey, score in ((50, 0.8), (200, 0.95), (90, 0.9)):
            hub.frame(moment(grey=grey, score=score, state="smoking"))
        more = {"id": str(number), "started": started, "peak": 0.95}
        record({"event": "start", **more})
        record({"event": "end", **more, "seconds": 3.0})
    events = hub.events()
    assert [event["id"] for event in events] == [str(number) for number in range(129, 29, -1)]
    picture = cv2.imdecode(np.frombuffer(hub.thumbnail("129"), np.uint8), 1)
    assert abs(int(picture.mean()) - 200) < 3
    assert hub.thumbnail("3") is None
    assert len(hub._thumbnails) == 100


def test_events_of_earlier_runs_are_shown_with_their_best_frame(hub, server, samples, tmp_path):
    from test_live_archive import NOON, pair

    from edge_app.live.archive import read_archive

    (tmp_path / "smoking-1.jpg").write_bytes((samples / "coffee.jpg").read_bytes())
    more = {"snapshot": "smoking-1.jpg", "camera": "Front door"}
    (tmp_path / "events.jsonl").write_text(pair("a", NOON, 3.0, **more))
    hub.remember(read_archive(tmp_path))
    (event,) = hub.events()
    assert (event["camera"], event["seconds"], event["picture"]) == ("0-front-door", 3.0, True)
    picture = get(f"{server.url}/event/a.jpg")[2]
    assert max(cv2.imdecode(np.frombuffer(picture, np.uint8), 1).shape) == 480
    (tmp_path / "smoking-1.jpg").unlink()
    assert get(f"{server.url}/event/a.jpg")[0] == 404


def test_the_line_of_scores_is_bounded(hub, monkeypatch):
    clock = iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: next(clock))
    for _ in range(3000):
        hub.frame(moment())
    assert len(hub.cameras["0-front-door"].history()) == 1200


def test_the_line_of_scores_has_a_gap_where_the_camera_was_lost(hub, server):
    hub.frame(moment(score=0.9))
    hub.sink(CAMERA)({"event": "lost", "reason": "the camera stopped sending"})
    points = json.loads(get(f"{server.url}/history/0-front-door")[2])
    assert [score for _, score in points] == [0.9, None]


def page_of(camera):
    """What the page is told of a camera at the start, and of a frame of half its first size."""
    from edge_app.live.view.server import _state_of

    hub = Hub([camera])
    hub.frame(moment(camera))
    seen = hub.cameras[next(iter(hub.cameras))]
    small = moment(camera)
    seen.take(replace(small, frame=replace(small.frame, pixels=small.frame.pixels[::2, ::2])))
    with Server(hub, ("127.0.0.1", 0)) as server:
        page = get(f"{server.url}/")[2].decode()
    known = json.loads(re.search(r'id="known">(.*?)</script>', page)[1])
    return known["cameras"][0], _state_of(seen)


def test_a_region_and_masks_are_shown_as_the_model_sees_them():
    zone = Zone.parse("100,0 500,0 300,400", ["0,0,80,40"])
    known, state = page_of(Camera("0", "Door", zone=zone))
    assert state["outline"] == ((50, 0), (250, 0), (150, 200))
    assert state["masks"] == (((0, 0), (40, 0), (40, 20), (0, 20)),)
    assert known["masks"] == ["0,0 80,0 80,40 0,40"]
    assert Zone.parse("", known["masks"]).masks == zone.masks
    assert page_of(Camera("0"))[1]["outline"] == ()


def test_a_line_for_the_file_is_offered_where_the_option_is_refused():
    assert page_of(Camera("0", "Door"))[0]["toml"]  # with --config, or of several
    assert not page_of(Camera("0"))[0]["toml"]


@pytest.mark.parametrize(
    ("reason", "key", "values"),
    [
        ("the camera stopped sending", "why_ended", {}),
        ("no picture for 5 s", "why_silent", {"n": "5"}),
        (why_not("rtsp://camera.local/live"), "why_closed", {}),
        ("rtsp://me@camera.local/live: refuses the user name or password", "why_refused", {}),
        ("rtsp://camera.local/live: asks for a user name and password. W", "why_account", {}),
        ("camera 0: cannot be opened. Is it plugged in and not in use?", "why_device", {}),
        ("camera 0: there is no /dev/video0. run live", "why_gone", {"device": "/dev/video0"}),
        ("camera 0: no permission to use /dev/v0. Run", "why_permission", {"device": "/dev/v0"}),
        (
            *("0: is in use by cheese (process 5). Stop that program and try again", "why_busy"),
            {"program": "cheese (process 5)"},
        ),
    ],
)
def test_why_a_camera_is_lost_is_said_in_both_languages(reason, key, values):
    assert reason_of(reason) == {"text": reason, "key": key, **values}
    assert all(TEXTS[language][key].format(**values) for language in ("en", "id"))


def test_any_other_reason_is_shown_as_it_is():
    assert reason_of("no route to host") == {"text": "no route to host"}


def test_both_languages_say_the_same_things():
    assert TEXTS["en"].keys() == TEXTS["id"].keys()
    for key, text in TEXTS["en"].items():
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", TEXTS["id"][key]), key
    assert language_of("id", "en") == "id"
    assert language_of("xx", "fr, id;q=0.5") == "id"


# In a real browser, with real streams
