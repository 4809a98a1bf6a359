"""An RTSP server: shows a picture as H.264 at rtsp://127.0.0.1:PORT/live.

    /usr/bin/python3 rtsp_server.py PORT PICTURE

Needs the GStreamer packages that tests/live_servers.py names, and the Python they are made for.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

port, picture = sys.argv[1:]
Gst.init(None)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f'( multifilesrc location="{picture}" caps=image/jpeg,framerate=30/1 ! jpegdec ! videoscale '
    "! videoconvert ! video/x-raw,width=320,height=240,format=I420 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 )"
)
factory.set_shared(True)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
