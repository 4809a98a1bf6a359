#!/usr/bin/env bash
# Runs the edge app on an emulated 32-bit Raspberry Pi OS (Debian 12, armhf): LiteRT's predecessor and
# NumPy 1. Compares its scores with this machine's, equal to within 1/256, and runs the tests of
# classifying, scanning and exporting. Opt-in: needs root, Debian or Ubuntu, about 25 minutes the
# first time (Pillow is compiled, emulated) and 1 GB in FOLDER.
#
#   sudo tests/emulated_pi32.sh [FOLDER]      default: /var/tmp/emulated-pi32; kept for the next time
#
# Needs: apt install debootstrap qemu-user-static binfmt-support, and an environment with the edge
# requirements: .venv-dev or .venv of run.py, or the one whose Python PYTHON names
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-/var/tmp/emulated-pi32}
root=$folder/root
tests=(tests/test_{classifier,labels,looks,files,scan,export,foreign}.py)

# shellcheck source-path=SCRIPTDIR source=emulation.sh
. "$project/tests/emulation.sh"
pillow=python3-dev,gcc,zlib1g-dev,libjpeg62-turbo-dev,libtiff-dev,libwebp-dev
pytest=python3-pytest,python3-hypothesis,python3-psutil
make_root armhf qemu-arm 10 "python3,python3-venv,python3-pip,python3-numpy,$pillow,$pytest"
for kernel in proc dev; do
  mountpoint -q "$root/$kernel" || mount --bind "/$kernel" "$root/$kernel"
done
trap 'umount "$root/proc" "$root/dev"' EXIT

say "packages: wheels, and Pillow's source"
mkdir -p "$root/wheels"
get() { "$python" -m pip download -q --no-deps -d "$root/wheels" "$@"; }
get --only-binary=:all: --python-version 3.11 --implementation cp --platform manylinux_2_34_armv7l \
  tflite-runtime==2.14.0 flatbuffers click tqdm setuptools wheel pybind11
get --no-binary=pillow "pillow<13"
# shellcheck disable=SC2016 # that shell expands it
chroot "$root" sh -ec 'install="/venv/bin/pip install -q --disable-pip-version-check --no-index"
  [ -x /venv/bin/python ] || python3 -m venv --system-site-packages /venv
  $install --find-links /wheels -U setuptools wheel pybind11 click tqdm flatbuffers tflite-runtime
  $install --find-links /wheels --no-build-isolation "pillow<13"'

rm -rf "$root/app"
mkdir "$root/app"
cp -r "$project"/{edge_app,models,samples,tests,README.md,pyproject.toml} "$root/app/"
emulated() { chroot "$root" sh -c "cd /app && LANG=C.UTF-8 /venv/bin/python $*"; }
say "emulated: the commands"
emulated -m edge_app info
emulated -m edge_app scan samples --db results.db
emulated -m edge_app export results.db --out report.html

say "the scores"
emulated -m edge_app classify samples --format jsonl >"$folder/there.jsonl"
(cd "$project" && "$python" -m edge_app classify samples --format jsonl) >"$folder/here.jsonl"
"$python" - "$folder"/{here,there}.jsonl <<'PYTHON'
import json
import sys

here, there = ([json.loads(line) for line in open(name)] for name in sys.argv[1:])
assert [one["path"] for one in here] == [one["path"] for one in there] and here
pairs = [(one["path"], one["smoking"], other["smoking"]) for one, other in zip(here, there)]
for path, score, other in pairs:
    print(f"{path:<24} {score:.6f} {other:.6f}")
largest = max(abs(score - other) for _, score, other in pairs)
print(f"{len(pairs)} scores, largest difference {largest:.6f} (allowed: {1 / 256:.6f})")
sys.exit(largest > 1 / 256)
PYTHON

say "the tests, emulated"
emulated -m pytest -q -p no:cacheprovider "${tests[@]}"
