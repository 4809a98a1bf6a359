"""Mosquitto, and a client that listens to all of it."""

import os
import shutil
import socket
import subprocess

import pytest

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt")
pytest.importorskip("cv2", reason="needs opencv-python")

from live_servers import wait_for  # noqa: E402

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
