"""What Home Assistant finds."""

import json
import re

import pytest

from edge_app.cli.live_setup import Places, make_outputs
from edge_app.live import Camera
from edge_app.live.mqtt import Publisher

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt")
pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import wait_for  # noqa: E402
from mqtt_broker import PREFIX, Listener  # noqa: E402


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
