#!/usr/bin/env bash
# Runs the edge app on an emulated 64-bit Raspberry Pi OS (Debian 12, arm64), with the processors of
# a Raspberry Pi 3, 4 and 5, and compares its scores with this machine's: equal to within 1/256.
# Opt-in: needs root, Debian or Ubuntu, about 10 minutes the first time and 2 GB in FOLDER. How fast
# it is there says nothing about a Raspberry Pi.
#
#   sudo tests/emulated_pi.sh [FOLDER]        default: /var/tmp/emulated-pi; kept for the next time
#
# Needs: apt install debootstrap qemu-user-static binfmt-support, and an environment with the edge
# requirements: .venv-dev or .venv of run.py, or the one whose Python PYTHON names
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-/var/tmp/emulated-pi}
root=$folder/root wheels=$folder/wheels

# shellcheck source-path=SCRIPTDIR source=emulation.sh
. "$project/tests/emulation.sh"
make_root arm64 qemu-aarch64 4 python3,python3-venv,python3-pip

mkdir -p "$wheels"
say "aarch64 wheels of what scan and live need (OpenCV without windows: there is no screen)"
cat "$project"/requirements-{edge,live,opencv-headless}.txt >"$folder/requirements.txt"
"$python" -m pip download -q --only-binary=:all: --python-version 3.11 --implementation cp \
  --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
  --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 \
  -r "$folder/requirements.txt" -d "$wheels"

say "installing them, emulated"
rm -rf "$root/app" "$root/wheels"
mkdir "$root/app"
cp -r "$project"/{edge_app,models,samples} "$root/app/"
cp -r "$wheels" "$folder/requirements.txt" "$root/"
chroot "$root" sh -c '[ -x /venv/bin/python ] || python3 -m venv /venv
  /venv/bin/pip install -q --disable-pip-version-check --no-index --find-links /wheels \
    -r /requirements.txt'

cat >"$root/app/scores.py" <<'PYTHON'
import json
import sys
from pathlib import Path

from edge_app import Classifier
from edge_app.imaging import find_pictures, from_frame
from edge_app.live.sources import open_frames

classifier = Classifier()
scores = {path.name: classifier.classify(path).smoking for path in find_pictures(Path("samples"))}
for frame in open_frames("video.avi"):
    prediction = classifier.classify_pixels(from_frame(frame.pixels, classifier.info.size))
    scores[f"video.avi, frame {frame.number}"] = prediction.smoking
Path(sys.argv[1]).write_text(json.dumps(scores, indent=2) + "\n")
PYTHON

# Lossless: FFmpeg turns the YUV of other videos to RGB with code for each kind of processor, whose
# results differ by up to 2 grey levels.
say "a short video of the samples"
cd "$root/app"
"$python" - <<'PYTHON'
from pathlib import Path

import cv2

writer = cv2.VideoWriter("video.avi", cv2.VideoWriter_fourcc(*"MPNG"), 6, (640, 480))
for path in sorted(Path("samples").glob("*.jpg")):
    for _ in range(3):
        writer.write(cv2.resize(cv2.imread(str(path)), (640, 480)))
writer.release()
PYTHON

say "here"
"$python" scores.py here.json

# LiteRT uses its fast kernels (XNNPACK) only on a processor that it knows, from these files. With
# the plain kernels scores are some hundredths off; on a real board the files are there.
for folder_of_kernel in proc sys; do # debootstrap may have left this machine's own there
  ! mountpoint -q "$root/$folder_of_kernel" || umount "$root/$folder_of_kernel"
done
be() { # QEMU's name, the part number and the features that the kernel tells of the processor
  export QEMU_CPU=$1
  mkdir -p "$root/sys/devices/system/cpu"
  echo 0-3 | tee "$root/sys/devices/system/cpu/possible" >"$root/sys/devices/system/cpu/present"
  for core in 0 1 2 3; do
    printf 'processor\t: %s\nFeatures\t: %s\nCPU implementer\t: 0x41\n' "$core" "$3"
    printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: %s\nCPU revision\t: 3\n\n' "$2"
  done >"$root/proc/cpuinfo"
}
emulated() { chroot "$root" sh -c "cd /app && PYTHONPATH=/app /venv/bin/python $*"; }

old="fp asimd evtstrm crc32 cpuid"
new="fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
say "emulated: the commands, on the processor of a Raspberry Pi 4"
be cortex-a72 0xd08 "$old"
emulated -m edge_app info
emulated -m edge_app classify samples
emulated -m edge_app scan samples --db results.db
emulated -m edge_app export results.db --out report.html
emulated -m edge_app live --source video.avi --display none --events events.jsonl --clips clips
emulated -m edge_app live --source video.avi --display none --report video.html
for board in "3 cortex-a53 0xd03 $old" "4 cortex-a72 0xd08 $old" "5 cortex-a76 0xd0b $new asimddp"; do
  read -r number name part features <<<"$board"
  say "emulated: the scores of a Raspberry Pi $number ($name)"
  be "$name" "$part" "$features"
  emulated scores.py "pi$number.json"
done

"$python" - <<'PYTHON'
import json
import sys

here, *boards = (json.load(open(f"{name}.json")) for name in ("here", "pi3", "pi4", "pi5"))
assert all(board.keys() == here.keys() for board in boards)
print(f"{'':<22}     here     Pi 3     Pi 4     Pi 5")
for name, score in here.items():
    print(f"{name:<22}", *(f"{value:8.6f}" for value in (score, *(b[name] for b in boards))))
largest = max(abs(board[name] - here[name]) for board in boards for name in here)
print(f"{len(here)} scores, largest difference {largest:.6f} (allowed: {1 / 256:.6f})")
sys.exit(largest > 1 / 256)
PYTHON
