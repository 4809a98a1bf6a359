"""State and events for a home: MQTT with Home Assistant's discovery.

Interface: https://www.home-assistant.io/integrations/binary_sensor.mqtt/ and, for ``origin``, the
discovery topic and what has to be retained,
https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery; checked against the
schema in Home Assistant's code (homeassistant/components/mqtt/schemas.py).
"""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
import time
from typing import Any
from urllib.parse import unquote

from edge_app import __version__
from edge_app.invocation import install_hint
from edge_app.live.redact import Address, redact, shown

logger = logging.getLogger(__name__)

MOST_WAITING = 1000
"""Events that wait in memory while the broker is away; the events file has them all."""

SCHEMES = {"mqtt": 1883, "mqtts": 8883}
"""Kinds of URL, and their usual ports."""

_ANSWER_SECONDS = 8.0  # a broker that is silent for so long is reported
_PROBE_SECONDS = 2.0  # for a second attempt that only asks for the reason


def topic_name(name: str) -> str:
    """A name with the characters that Home Assistant allows in discovery topics.

    >>> topic_name("Front door")
    'Front-door'
    """
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)


class Publisher:
    """Publishes to a broker, which may be away, go and come back.

    Topics, below ``smoking-detector/NAME/``: ``availability`` (online, offline; also the last
    will), ``state`` (ON, OFF; retained), ``sees`` (online while the camera gives frames; retained)
    and ``event`` (the records of the events file as JSON, with quality of service 2; what happens
    while the broker is away waits, and the events file is what to trust).
    """

    def __init__(self, url: str, camera: str = "", slug: str = ""):
        """Begins to connect; the broker need not be there yet.

        Args:
            url: ``mqtt://[user:password@]host[:port][/NAME]``, or ``mqtts://`` for TLS. NAME tells
                one detector from another; without it, the machine's name.
            camera: name of the camera, for people.
            slug: tells one camera of a detector from another in topics; added to NAME. As
                ``camera`` if it is empty.

        Raises:
            ValueError: it is no such URL, or paho-mqtt is not installed.
        """
        self._url = url
        address = Address.of(url)
        place = re.fullmatch(r"(\[[^\]]+\]|[^:/?#@]+)(?::(\d{1,5}))?(?:/(.*))?", address.rest)
        if address.scheme not in SCHEMES or not place or int(place[2] or 1) > 65535:
            raise ValueError(
                f"expected an address such as mqtt://user:password@host/name, got {shown(url)}"
            )
        self._host = place[1].strip("[]")
        self._port = int(place[2] or SCHEMES[address.scheme])
        name = unquote((place[3] or "").strip("/")) or socket.gethostname()
        slug = slug or camera
        self.name = topic_name(f"{name}-{slug}" if slug else name)
        self.prefix = f"smoking-detector/{self.name}"
        self._title = f"{name}, {camera}" if camera else name
        self._state, self._sees = "OFF", "online"
        self._waiting: list[Any] = []
        self._refused = 0
        self._lock = threading.Lock()
        self._trouble: str | None = None
        self._patience = threading.Timer(_ANSWER_SECONDS, self._on_silence)
        self._patience.daemon = True
        self._client = self._make_client(address)
        self._patience.start()
        self._client.connect_async(self._host, self._port, 20)
        self._client.loop_start()

    def write(self, record: dict[str, Any]) -> None:
        """Publishes a record of the events file, and the state that follows from it."""
        with self._lock:
            before = (self._state, self._sees)
            if record["event"] in ("start", "end"):
                self._state = "ON" if record["event"] == "start" else "OFF"
            elif record["event"] in ("lost", "restored"):
                self._sees = "offline" if record["event"] == "lost" else "online"
            changed = before != (self._state, self._sees)
        self._waiting = [message for message in self._waiting if not message.is_published()]
        if len(self._waiting) >= MOST_WAITING:
            self._refused += 1
        else:
            self._waiting.append(self._publish("event", json.dumps(record), qos=2))
        if changed and self._client.is_connected():
            self._publish_state()

    def close(self, timeout: float = 0.5) -> int:
        """Says goodbye; returns how many events the broker never got.

        Args:
            timeout: seconds to wait, in all, for a broker that may not answer.
        """
        deadline = time.monotonic() + timeout
        self._patience.cancel()
        if self._client.is_connected():
            goodbye = self._publish("availability", "offline", qos=1, retain=True)
            for message in (*self._waiting, goodbye):
                message.wait_for_publish(max(0.001, deadline - time.monotonic()))
        lost = sum(not message.is_published() for message in self._waiting)
        self._client.disconnect()
        # It waits for paho's thread, which may be busy connecting to a broker that is silent.
        ending = threading.Thread(target=self._client.loop_stop, daemon=True)
        ending.start()
        ending.join(max(0.001, deadline - time.monotonic()))
        return lost + self._refused

    def _publish(self, topic: str, text: str, qos: int, retain: bool = False) -> Any:
        message = self._client.publish(f"{self.prefix}/{topic}", text, qos=qos, retain=retain)
        if message.rc == self._mqtt.MQTT_ERR_NO_CONN:
            # It waits in the client until the broker is back; left as it is, paho would answer
            # is_published with an error for good.
            message.rc = self._mqtt.MQTT_ERR_SUCCESS
        return message

    def _make_client(self, address: Address) -> Any:
        try:
            from paho.mqtt import client as mqtt
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            raise ValueError(f"--mqtt needs paho-mqtt: {install_hint('live')}") from None
        self._mqtt = mqtt
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"smoking-detector-{self.name}",
            clean_session=False,  # the broker remembers what it has; nothing comes twice
        )
        if address.user:
            client.username_pw_set(unquote(address.user), unquote(address.password or ""))
        if address.scheme == "mqtts":
            client.tls_set()
        # Without a bound of its own: events are bounded here, and the state has to get through.
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(min_delay=1, max_delay=30)
        client.will_set(f"{self.prefix}/availability", "offline", qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        return client

    def _on_connect(
        self, client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        self._patience.cancel()
        if reason.is_failure:
            refused = reason.getName() if hasattr(reason, "getName") else str(reason)
            wrong = any(word in refused for word in ("authori", "user name"))
            advice = "; check user and password" if wrong else ""
            self._complain(f"the broker refuses the connection ({refused}){advice}")
            return
        if self._trouble is not None:
            logger.info("MQTT %s:%d: connected", self._host, self._port)
            self._trouble = None
        topic = f"homeassistant/binary_sensor/smoking-detector-{self.name}/config"
        client.publish(topic, json.dumps(self._discovery()), qos=1, retain=True)
        self._publish("availability", "online", qos=0, retain=True)
        self._publish_state()

    def _on_connect_fail(self, _client: Any, _userdata: Any) -> None:
        self._patience.cancel()
        try:  # paho keeps the reason for itself
            socket.create_connection((self._host, self._port), _PROBE_SECONDS).close()
            reason = "it does not speak MQTT, or not with this kind of encryption"
        except OSError as error:
            reason = error.strerror or str(error)
        self._complain(f"the broker cannot be reached ({reason})")

    def _on_disconnect(
        self, _client: Any, _userdata: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure and self._trouble is None:
            self._complain(f"the connection was lost ({reason})")

    def _on_silence(self) -> None:
        if not self._client.is_connected():
            self._complain(f"the broker has not answered for {_ANSWER_SECONDS:.0f} s")

    def _complain(self, trouble: str) -> None:
        """Says what is wrong, once until it is over or changes."""
        if trouble != self._trouble:
            self._trouble = trouble
            text = f"MQTT {self._host}:{self._port}: {trouble}; trying again"
            logger.warning("%s", redact(text, self._url))

    def _publish_state(self) -> None:
        with self._lock:
            for topic, value in (("sees", self._sees), ("state", self._state)):
                # Quality 0: what was lost with a connection is old, and paho would repeat it after
                # the state of now. Each new connection begins with the state.
                self._publish(topic, value, qos=0, retain=True)

    def _discovery(self) -> dict[str, Any]:
        identity = f"smoking-detector-{self.name}"
        return {
            "name": "Smoking gesture",
            "unique_id": identity,
            "state_topic": f"{self.prefix}/state",
            "json_attributes_topic": f"{self.prefix}/event",
            "availability": [
                {"topic": f"{self.prefix}/availability"},
                {"topic": f"{self.prefix}/sees"},
            ],
            "availability_mode": "all",
            "icon": "mdi:smoking",
            "origin": {"name": "smoking-gesture-detector", "sw_version": __version__},
            "device": {
                "identifiers": [identity],
                "name": f"Smoking gesture detector {self._title}",
                "model": "Smoking gesture detector",
                "sw_version": __version__,
            },
        }
