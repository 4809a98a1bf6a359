"""MQTT against a real Mosquitto."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT

from edge_app.live import mqtt as live_mqtt
from edge_app.live.mqtt import Publisher

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt")
pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import MjpegServer, wait_for  # noqa: E402
from mqtt_broker import PREFIX, Broker  # noqa: E402


def test_the_broker_says_so_when_it_dies(broker, listener):
    publisher = Publisher(broker.url)
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "online")
    publisher._client.socket().shutdown(socket.SHUT_RDWR)  # as a process that is killed
    wait_for(lambda: (f"{PREFIX}/availability", "offline") in listener.messages)
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "online")  # it is back
    publisher.close()


def ids(listener):
    return [json.loads(text)["id"] for name, text in listener.messages if name == f"{PREFIX}/event"]


def test_a_broker_that_restarts_gets_every_event_once_and_in_order(broker, listener):
    publisher = Publisher(broker.url)
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "online")
    sent = [str(number) for number in range(40)]
    for number in sent[:10]:  # these are under way when the broker stops
        publisher.write({"event": "start", "id": number})
    broker.stop()
    for number in sent[10:30]:  # more than paho keeps in flight
        publisher.write({"event": "start", "id": number})
    broker.start()
    for number in sent[30:]:
        publisher.write({"event": "end", "id": number})
    wait_for(lambda: len(ids(listener)) >= len(sent), 60)
    wait_for(lambda: listener.last(f"{PREFIX}/state") == "OFF")
    time.sleep(1)  # what comes twice comes late
    assert ids(listener) == sent
    assert publisher.close() == 0


def test_what_waits_is_bounded_and_the_state_gets_through_all_the_same(
    broker, listener, monkeypatch
):
    monkeypatch.setattr(live_mqtt, "MOST_WAITING", 5)
    broker.stop()
    publisher = Publisher(broker.url)
    for number in range(8):
        publisher.write({"event": "start", "id": str(number)})
    broker.start()
    wait_for(lambda: listener.last(f"{PREFIX}/state") == "ON", 60)
    wait_for(lambda: len(ids(listener)) == 5)
    assert ids(listener) == ["0", "1", "2", "3", "4"]
    assert publisher.close() == 3


def test_a_broker_that_hangs_does_not_hold_up_the_end(broker, listener):
    publisher = Publisher(broker.url)
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "online")
    broker._process.send_signal(signal.SIGSTOP)
    for number in range(30):
        publisher.write({"event": "start", "id": str(number)})
    start = time.monotonic()
    lost = publisher.close(timeout=0.5)
    took = time.monotonic() - start
    broker._process.send_signal(signal.SIGCONT)
    assert lost == 30
    assert took < 5  # the broker is silent for as long as it likes


def test_a_run_tells_of_its_events_and_its_death_is_told(broker, listener, samples, tmp_path):
    """The command with a real broker, killed as no program can prevent."""
    with MjpegServer(samples / "astronaut.jpg") as server:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "edge_app", "live", "--display", "none"),
                *("--source", server.url, "--mqtt", broker.url),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert process.stdout.readline().startswith("frame ")
            wait_for(lambda: listener.last(f"{PREFIX}/state") is not None, 60)
            server.stop()
            wait_for(lambda: listener.last(f"{PREFIX}/sees") == "offline", 60)
            server.start()
            wait_for(lambda: listener.last(f"{PREFIX}/sees") == "online", 60)
            process.kill()
            wait_for(lambda: listener.last(f"{PREFIX}/availability") == "offline", 60)
        finally:
            process.kill()
            process.communicate()
    told = [json.loads(text) for name, text in listener.messages if name == f"{PREFIX}/event"]
    assert [record["event"] for record in told][-2:] == ["lost", "restored"]


def test_a_broker_that_is_not_there_is_said_so_within_ten_seconds_and_once(caplog):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    publisher = Publisher(f"mqtt://me:secret@127.0.0.1:{port}/hall")
    wait_for(lambda: "Connection refused" in caplog.text, 10)
    time.sleep(3)  # it tries again each second at first
    publisher.close()
    assert caplog.text.count("cannot be reached") == 1
    assert f"MQTT 127.0.0.1:{port}: the broker cannot be reached" in caplog.text
    assert "secret" not in caplog.text


def test_a_broker_that_accepts_and_says_nothing_is_said_so(caplog, monkeypatch):
    monkeypatch.setattr(live_mqtt, "_ANSWER_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = Publisher(f"mqtt://127.0.0.1:{server.getsockname()[1]}/hall")
        wait_for(lambda: "has not answered for 1 s" in caplog.text)
        publisher.close()


def test_a_wrong_password_is_said_within_ten_seconds_and_the_right_one_later_helps(
    tmp_path, caplog
):
    broker = Broker(tmp_path)
    lines = broker._config.read_text().replace("allow_anonymous true", "allow_anonymous false")
    broker._config.write_text(f"{lines}password_file {tmp_path}/passwords\n")
    passwords = tmp_path / "passwords"
    for password in ("another", "pa/s#s"):
        create = ["mosquitto_passwd", "-b", "-c", passwords, "me", password]
        if not shutil.which(create[0]):
            pytest.skip("needs the package mosquitto")
        subprocess.run(create, check=True)
        passwords.chmod(0o644)
        broker.start()
        if password == "another":
            publisher = Publisher(f"mqtt://me:pa/s#s@127.0.0.1:{broker.port}/hall")
            wait_for(lambda: "check user and password" in caplog.text, 10)
            broker.stop()
    caplog.set_level("INFO", "edge_app.live")
    wait_for(lambda: "connected" in caplog.text.splitlines()[-1], 60)  # the pauses have grown
    publisher.close()
    broker.stop()
    assert "pa/s#s" not in caplog.text


def test_what_never_arrived_is_counted():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    publisher = Publisher(f"mqtt://127.0.0.1:{port}/hall")
    for number in range(3):
        publisher.write({"event": "start", "id": str(number)})
    assert publisher.close() == 3


@pytest.mark.parametrize("url", ["http://host", "host", "mqtt://"])
def test_an_address_without_sense_is_named(url):
    with pytest.raises(ValueError, match="expected an address such as mqtt://"):
        Publisher(url)


@pytest.mark.parametrize(
    "url",
    ["http://me:secret@host", "mqtt://me:sec/ret@host:99999", "mqtt://me:/secret#@", "me:secret@h"],
)
def test_the_password_of_an_address_without_sense_does_not_show(url):
    with pytest.raises(ValueError) as error:
        Publisher(url)
    assert "sec" not in str(error.value)
