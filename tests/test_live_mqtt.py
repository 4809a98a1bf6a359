"""MQTT against a real Mosquitto."""

import doctest
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import ROOT, lacks

from edge_app.cli.live_setup import Places, make_outputs
from edge_app.live import Camera
from edge_app.live import mqtt as live_mqtt
from edge_app.live.mqtt import Publisher

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt")
pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import MjpegServer, wait_for  # noqa: E402

PREFIX = "smoking-detector/hall"


class Broker:
    """A Mosquitto of our own on loopback."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        # Mosquitto 2.0.11 forgets to deliver to a subscriber what it queued for it while it was
        # away, beyond max_inflight_messages.
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nmax_inflight_messages 1000\n"
            + ("user root\n" if os.geteuid() == 0 else "")
        )
        self._program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"

    @property
    def url(self):
        return f"mqtt://127.0.0.1:{self.port}/hall"

    def start(self):
        self._process = subprocess.Popen(
            [self._program, "-c", self._config], stderr=subprocess.DEVNULL
        )
        wait_for(self._answers)

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def stop(self):
        self._process.terminate()
        self._process.wait(10)


class Listener:
    """A subscriber that the broker remembers, as Home Assistant would be."""

    def __init__(self, port):
        self.messages = []
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False
        )
        self.ready = False
        self.client.on_connect = lambda client, *_: client.subscribe("#", qos=2)
        self.client.on_subscribe = lambda *_: setattr(self, "ready", True)
        self.client.on_message = lambda _c, _u, message: self.messages.append(
            (message.topic, message.payload.decode())
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.connect_async("127.0.0.1", port)
        self.client.loop_start()
        wait_for(lambda: self.ready)

    def last(self, topic):
        return next((text for name, text in reversed(self.messages) if name == topic), None)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    if not (shutil.which("mosquitto") or os.path.exists("/usr/sbin/mosquitto")):
        lacks("needs the package mosquitto")
    server = Broker(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def listener(broker):
    client = Listener(broker.port)
    yield client
    client.close()


def test_home_assistant_finds_it_and_sees_the_state(broker, listener):
    publisher = Publisher(broker.url)
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "online")
    wait_for(lambda: listener.last(f"{PREFIX}/state") == "OFF")
    topic = "homeassistant/binary_sensor/smoking-detector-hall/config"
    wait_for(lambda: listener.last(topic))
    config = json.loads(listener.last(topic))
    assert config["state_topic"] == f"{PREFIX}/state"
    assert config["unique_id"] == "smoking-detector-hall"
    assert [entry["topic"] for entry in config["availability"]] == [
        f"{PREFIX}/availability",
        f"{PREFIX}/sees",
    ]
    publisher.write({"event": "start", "id": "a"})
    wait_for(lambda: listener.last(f"{PREFIX}/state") == "ON")
    publisher.write({"event": "end", "id": "a"})
    wait_for(lambda: listener.last(f"{PREFIX}/state") == "OFF")
    publisher.write({"event": "lost", "id": "b"})
    wait_for(lambda: listener.last(f"{PREFIX}/sees") == "offline")
    assert publisher.close() == 0
    wait_for(lambda: listener.last(f"{PREFIX}/availability") == "offline")


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


def test_cameras_of_one_detector_are_devices_of_their_own(broker, listener):
    publishers = [Publisher(broker.url, name) for name in ("front door", "yard")]
    for name in ("front-door", "yard"):
        topic = f"homeassistant/binary_sensor/smoking-detector-hall-{name}/config"
        wait_for(lambda topic=topic: listener.last(topic))
        config = json.loads(listener.last(topic))
        assert config["unique_id"] == f"smoking-detector-hall-{name}"
        wait_for(lambda c=config: listener.last(c["availability"][0]["topic"]) == "online")
    for publisher in publishers:
        publisher.close()


KNOWN = {  # https://www.home-assistant.io/integrations/binary_sensor.mqtt/#configuration-variables
    *("availability", "availability_mode", "default_entity_id", "device", "device_class"),
    *("enabled_by_default", "encoding", "entity_category", "entity_picture", "expire_after"),
    *("force_update", "icon", "json_attributes_template", "json_attributes_topic", "name"),
    *("off_delay", "origin", "payload_off", "payload_on", "platform", "qos", "state_topic"),
    *("unique_id", "value_template"),
}


KNOWN_OF_DEVICE = {
    *("configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model"),
    *("model_id", "name", "serial_number", "suggested_area", "sw_version", "via_device"),
}


def test_home_assistant_that_starts_later_finds_everything(broker):
    """What the documentation wants to be retained."""
    publisher = Publisher(broker.url)
    wait_for(lambda: publisher._client.is_connected())
    publisher.write({"event": "start", "id": "a"})
    late = Listener(broker.port)
    wait_for(lambda: late.last(f"{PREFIX}/state") == "ON")
    wait_for(lambda: late.last(f"{PREFIX}/availability") == "online")
    wait_for(lambda: late.last(f"{PREFIX}/sees") == "online")
    wait_for(lambda: late.last("homeassistant/binary_sensor/smoking-detector-hall/config"))
    late.close()
    publisher.close()


def test_cameras_whose_names_look_alike_in_topics_are_still_two(broker, listener):
    cameras = [Camera("0", "Tür"), Camera("1", "Tor"), Camera("2", "Tär")]
    outputs = make_outputs(cameras, Places(mqtt=broker.url))
    for slug, name in (("T-r-1", "Tür"), ("Tor", "Tor"), ("T-r-3", "Tär")):
        topic = f"homeassistant/binary_sensor/smoking-detector-hall-{slug}/config"
        wait_for(lambda topic=topic: listener.last(topic))
        device = json.loads(listener.last(topic))["device"]
        assert device["name"] == f"Smoking gesture detector hall, {name}"
    for output in outputs:
        output.close()


def test_the_discovery_is_what_home_assistant_documents(broker, listener):
    publisher = Publisher(broker.url)
    topic = "homeassistant/binary_sensor/smoking-detector-hall/config"
    wait_for(lambda: listener.last(topic))
    config = json.loads(listener.last(topic))
    publisher.close()
    assert re.fullmatch(r"homeassistant/binary_sensor/[a-zA-Z0-9_-]+/config", topic)
    assert set(config) <= KNOWN
    assert {"state_topic", "unique_id", "device", "origin"} <= set(config)
    assert config["origin"]["name"]  # required by Home Assistant
    assert set(config["origin"]) <= {"name", "sw_version", "support_url"}
    assert config["device"]["identifiers"]  # or connections
    assert set(config["device"]) <= KNOWN_OF_DEVICE
    assert config["availability_mode"] in ("all", "any", "latest")
    assert all(set(entry) == {"topic"} for entry in config["availability"])


def test_what_never_arrived_is_counted():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    publisher = Publisher(f"mqtt://127.0.0.1:{port}/hall")
    for number in range(3):
        publisher.write({"event": "start", "id": str(number)})
    assert publisher.close() == 3


@pytest.mark.parametrize("url", ["http://host", "host", "mqtt://"])
def test_an_address_without_sense_is_named(url):
    with pytest.raises(ValueError, match="expected an address as mqtt://"):
        Publisher(url)


@pytest.mark.parametrize(
    "url",
    ["http://me:secret@host", "mqtt://me:sec/ret@host:99999", "mqtt://me:/secret#@", "me:secret@h"],
)
def test_the_password_of_an_address_without_sense_does_not_show(url):
    with pytest.raises(ValueError) as error:
        Publisher(url)
    assert "sec" not in str(error.value)


def test_the_examples_run():
    assert doctest.testmod(live_mqtt).failed == 0
