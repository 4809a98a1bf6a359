# shellcheck shell=bash disable=SC2154
# What emulated_pi.sh and emulated_pi32.sh begin with. They source it once they have set `project`,
# `folder` and `root`. It sets `python`, of an environment with the edge requirements.

say() { printf '== %s\n' "$*" >&2; }

# make_root ARCHITECTURE QEMU MINUTES PACKAGES: Debian 12 in $root, if it is not there yet, and the
# kernel runs its programs with that emulator.
make_root() {
  local architecture=$1 qemu=$2 minutes=$3 packages=$4 program
  [ "$(id -u)" = 0 ] || { say "This needs root: sudo $0"; exit 2; }
  for program in debootstrap "$qemu-static" update-binfmts; do
    command -v "$program" >/dev/null || {
      say "$program is missing: apt install debootstrap qemu-user-static binfmt-support"; exit 2; }
  done
  for python in "${PYTHON:-}" "$project"/.venv-dev/bin/python "$project"/.venv/bin/python; do
    [ -x "$python" ] && break
  done
  [ -x "$python" ] || { say "There is no environment yet: python3 run.py info"; exit 2; }

  mkdir -p "$root"
  mountpoint -q /proc/sys/fs/binfmt_misc ||
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  if [ ! -e "$root/ready" ]; then
    say "Debian 12 for $architecture, first stage"
    debootstrap --arch="$architecture" --foreign --variant=minbase --include="$packages" \
      bookworm "$root" >"$folder/debootstrap.log"
    cp "$(command -v "$qemu-static")" "$root/usr/bin/"
    update-binfmts --enable "$qemu"
    say "second stage, emulated: about $minutes minutes"
    chroot "$root" /debootstrap/debootstrap --second-stage >>"$folder/debootstrap.log"
    touch "$root/ready"
  fi
  update-binfmts --enable "$qemu"
}
