"""Video files of which a part is missing, and whole ones whose headers count other frames."""

import shutil
import subprocess

import pytest
from click.testing import CliRunner
from conftest import lacks

cv2 = pytest.importorskip("cv2", reason="needs opencv-python")

from live_files import write_video  # noqa: E402

from edge_app.cli.live import live  # noqa: E402
from edge_app.live.errors import SourceError  # noqa: E402
from edge_app.live.frames import CutShort, Frame  # noqa: E402
from edge_app.live.sources import open_frames  # noqa: E402


@pytest.fixture
def video(tmp_path, samples):
    """Makes a whole video of 100 frames."""

    def make(name="a.avi", codec="MJPG"):
        picture = samples / "coffee.jpg"
        return write_video(tmp_path / name, [picture], seconds=10, codec=codec)

    return make


def cut(path, share=0.5):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


def hollow(path, share=0.5):
    """Zeros in the place of the last part of the frames of an MP4, as downloads leave them."""
    content = path.read_bytes()
    start, end = content.index(b"mdat") + 4, content.rindex(b"moov") - 4
    start = end - int(share * (end - start))
    path.write_bytes(content[:start] + bytes(end - start) + content[end:])
    return path


def ffmpeg(out, *options):
    if shutil.which("ffmpeg") is None:
        lacks("needs the package ffmpeg")
    subprocess.run(["ffmpeg", "-loglevel", "error", *options, out], check=True, timeout=300)
    return out


def read(path, **options):
    """The number of frames, and why it ended early."""
    *items, last = [item for item in open_frames(str(path), **options) if item is not None]
    assert all(isinstance(item, Frame) for item in items)
    return (len(items), last.reason) if isinstance(last, CutShort) else (len(items) + 1, "")


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "MJPG"), ("a.mkv", "MJPG")])
def test_a_file_cut_in_half_is_said_to_end_early(video, name, codec):
    path = video(name, codec)
    assert read(path) == (100, "")
    count, reason = read(cut(path))
    assert 40 <= count <= 60
    assert reason == f"ends after {count} of 100 frames: it may be damaged"


def test_a_file_that_was_never_filled_is_said_to_end_early(video):
    path = video("a.mp4", "mp4v")
    assert read(path) == (100, "")
    count, reason = read(hollow(path))
    assert f"ends after {count} of 100 frames" in reason


def test_little_that_is_missing_is_not_said(video):
    count, reason = read(cut(video(), 0.95))
    assert 90 <= count < 100 and reason == ""


def test_a_file_played_at_its_own_speed_is_said_to_end_early(video):
    assert "of 100 frames: it may be damaged" in read(cut(video(), 0.1), realtime=True)[1]


@pytest.mark.parametrize("options", [{}, {"realtime": True}, {"realtime": True, "patient": True}])
def test_a_file_without_a_frame_is_an_error(video, options):
    path = hollow(video("a.mp4", "mp4v"), 1.0)
    with pytest.raises(SourceError, match="has no frame that can be read: it may be damaged"):
        list(open_frames(str(path), **options))


def test_an_mp4_cut_on_its_way_is_said_to_end_early(video, tmp_path):
    source = video()
    coded = ("-c:v", "mpeg4", "-g", "1")
    path = ffmpeg(tmp_path / "a.mp4", "-i", source, *coded, "-movflags", "+faststart")
    assert read(path) == (100, "")
    assert "of 100 frames: it may be damaged" in read(cut(path))[1]


def test_frames_that_an_edit_list_hides_are_not_missed(video, tmp_path):
    source = video()
    whole = ffmpeg(tmp_path / "whole.mp4", "-i", source)
    trimmed = ffmpeg(tmp_path / "b.mp4", "-ss", "4", "-i", whole, "-c", "copy")
    assert cv2.VideoCapture(str(trimmed)).get(cv2.CAP_PROP_FRAME_COUNT) > 80
    count, reason = read(trimmed)
    assert count < 80 and reason == ""


def test_a_longer_sound_track_promises_no_frames(video, tmp_path):
    source = video()
    sound = ("-f", "lavfi", "-i", "sine=duration=20")
    path = ffmpeg(tmp_path / "b.mkv", "-i", source, *sound, "-c:v", "copy")
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) > 150
    assert read(path) == (100, "")


def test_the_command_warns_once_and_the_report_says_so(video, tmp_path):
    report = tmp_path / "half.html"
    result = CliRunner().invoke(live, ["--source", str(cut(video())), "--report", str(report)])
    assert result.exit_code == 0
    (line,) = [line for line in result.stderr.splitlines() if "damaged" in line]
    assert "a.avi: ends after " in line
    assert "The video ends after " in report.read_text()


def test_the_command_ends_with_an_error_where_there_is_no_frame(video, tmp_path):
    report, path = tmp_path / "half.html", hollow(video("a.mp4", "mp4v"), 1.0)
    result = CliRunner().invoke(live, ["--source", str(path), "--report", str(report)])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(f"Error: {path}: has no frame")
    assert not report.exists()
