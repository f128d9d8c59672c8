#!/bin/sh
# tests/guest/image.sh - puts the tree into a guest's root, builds and installs it there, and makes the disk.
#
#     tests/guest/image.sh ROOT IMAGE        (as root, from the top of the tree)
set -eu
root=${1:?usage: image.sh ROOT IMAGE}
image=${2:?usage: image.sh ROOT IMAGE}
root=$(cd "$root" && pwd -P) # a link would be measured as one
tree=$root/srv/spaces
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C chroot "$root" "$@"; }

# Sources anew, with their times; what was built from the same ones stays.
mkdir -p "$tree"
find "$tree" -mindepth 1 -maxdepth 1 ! -name 'build*' -exec rm -rf {} +
git ls-files -z --cached --others --exclude-standard | xargs -0 ls -d 2>/dev/null | tar -c -T - | tar -x -C "$tree"

# Built with the guest's own compiler and libraries. Its pages need Node, which nothing here asks for.
# Without pipes of the job server: the other side's make is another one.
in_root env -u MAKEFLAGS nice make -C /srv/spaces -j2 --no-print-directory WEB=off build install >"$image.build.log" 2>&1 || {
    tail -n 30 "$image.build.log" >&2
    exit 1
}
in_root systemd-sysusers

cat > "$root/etc/systemd/system/spaces-guest.service" <<'UNIT'
[Unit]
Description=The tests of this guest
After=multi-user.target

[Service]
Type=oneshot
Delegate=yes
TasksMax=infinity
LimitNOFILE=65536
TimeoutStartSec=infinity
StandardInput=null
StandardOutput=file:/dev/ttyS1
StandardError=inherit
WorkingDirectory=/srv/spaces
ExecStart=/usr/bin/python3 tests/guest/inside.py
ExecStopPost=-/bin/sh -c 'journalctl -b -p warning -n 60 --no-pager >/dev/ttyS0'
ExecStopPost=/usr/bin/systemctl --no-block poweroff
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -sf ../spaces-guest.service "$root/etc/systemd/system/multi-user.target.wants/"
# The stories start our unit themselves.
rm -f "$root/etc/systemd/system/multi-user.target.wants/spacesd.service"
echo "/dev/vda / ext4 defaults 0 1" > "$root/etc/fstab"
echo guest > "$root/etc/hostname"
printf '127.0.0.1 localhost guest\n::1 localhost\n' > "$root/etc/hosts"

megabytes=$(du -sm "$root" | cut -f 1)
rm -f "$image"
mkfs.ext4 -q -d "$root" "$image" "$((megabytes + megabytes / 4 + 600))M"
