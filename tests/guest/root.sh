#!/bin/sh
# tests/guest/root.sh - makes or refreshes the Debian root of a guest: its own kernel, systemd, the
# libraries and compiler to build spacesd with, and what the tests call.
#
#     tests/guest/root.sh SUITE DIR        (as root; minutes the first time, a second afterwards)
#
# DEBIAN_MIRROR overrides the mirror; without it the one in this machine's own sources is taken.
set -eu
suite=${1:?usage: root.sh SUITE DIR}
root=${2:?usage: root.sh SUITE DIR}

mirror() {
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\{0,1\}\(http[^ ]*\).*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep '/debian/\{0,1\}$' | head -n 1
}
mirror=${DEBIAN_MIRROR:-$(mirror)}
[ -n "$mirror" ] || { echo "guest: no Debian mirror in the sources of apt; set DEBIAN_MIRROR" >&2; exit 1; }

build=$(sed -n '/^build="/,/"$/p' tools/deps.sh | tr -d '"\\' | sed 's/^build=//')
packages="systemd systemd-sysv udev dbus kmod initramfs-tools linux-image-cloud-amd64 libpam-systemd \
    iproute2 nftables procps strace curl e2fsprogs util-linux busybox-static $(echo $build)"

stamp=$root/.spacesd-guest
if [ "$(cat "$stamp" 2>/dev/null)" = "$packages" ]; then
    exit 0
fi

if [ ! -e "$root/etc/debian_version" ] || [ -d "$root/debootstrap" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror"
fi
# Only what is named is wanted, no service may start in the chroot, and a clock that is off is no reason to fail.
cat > "$root/etc/apt/apt.conf.d/90guest" <<'CONF'
APT::Install-Recommends "false";
Acquire::Check-Date "false";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
CONF
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
# Every module that a virtual machine may want, so that the image boots from a virtio disk.
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$root" "$@"; }
in_root apt-get update -qq
in_root apt-get install -y -qq $packages
in_root apt-get clean
rm -f "$root/usr/sbin/policy-rc.d"
rm -rf "$root"/var/lib/apt/lists/*
printf '%s' "$packages" > "$stamp"
