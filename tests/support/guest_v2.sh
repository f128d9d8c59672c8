#!/bin/sh
# The sandbox tests on a host with cgroup v2 alone (Linux 6.1 of Debian 12), in an emulated machine.
#
#     tests/support/guest_v2.sh BUILD        (about a minute; needs no KVM, network or root)
#
# Packages: qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio gcc python3. The guest's root is
# a tmpfs, so its files cannot be idmapped: this also runs the fallback for that.
set -eu
build=${1:?usage: guest_v2.sh BUILD}
skip() { printf '1..1\nok 1 - the quick guest # SKIP needs qemu: %s\n' "$1"; exit 0; }
for program in qemu-system-x86_64 busybox cpio gcc setpriv; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
kernel=$(ls /lib/modules 2>/dev/null | grep cloud | tail -1)
[ -r "/boot/vmlinuz-$kernel" ] || skip "linux-image-cloud-amd64 is not installed, or its kernel not readable"
! ldd "$build/spaces-launcher" | grep -q 'lib[at]san' || skip "a build without sanitizers"
work=$(mktemp -d /tmp/guest-v2-XXXXXX)
trap 'rm -rf "$work"' EXIT
root=$work/root

libs() { ldd "$@" 2>/dev/null | grep -o '/[^ ]*' | grep -v ':$' | sort -u; }

mkdir -p "$root/usr/bin" "$root/usr/lib/x86_64-linux-gnu" "$root/usr/lib64" "$root/usr/sbin" \
    "$root/etc" "$root/root" "$root/mnt" "$root/proc" "$root/srv/tests" "$root/srv/build"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
cp /bin/busybox /usr/bin/setpriv "$root/usr/bin/"
cp "$(readlink -f /usr/bin/python3)" "$root/usr/bin/python3"
version=$(/usr/bin/python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
cp -r "/usr/lib/$version" "$root/usr/lib/"
rm -rf "$root/usr/lib/$version/test" "$root/usr/lib/$version/sitecustomize.py"
libs /usr/bin/python3 /usr/bin/setpriv "$build/spaces-launcher" "/usr/lib/$version"/lib-dynload/*.so |
    while read -r lib; do cp -L "$lib" "$root/usr/lib/x86_64-linux-gnu/"; done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/usr/lib64/"
cp "/lib/modules/$kernel/kernel/fs/overlayfs/overlay.ko" "$root/"
cp "$build/spaces-launcher" "$root/srv/build/"
cp -r tests/e2e tests/support "$root/srv/tests/"
gcc -static -O1 -D_GNU_SOURCE -o "$root/syscalls" tests/e2e/attacks/syscalls.c
echo "127.0.0.1 localhost" > "$root/etc/hosts"

# The guest has no compiler; the test asks for one program only.
cat > "$root/usr/bin/gcc" <<'END'
#!/usr/bin/busybox sh
while [ "$1" != -o ]; do shift; done
exec cp /syscalls "$2"
END
# The first root of a kernel cannot be left by pivot_root: go to a tmpfs.
cat > "$root/init" <<'END'
#!/usr/bin/busybox sh
b=/usr/bin/busybox
$b mkdir /n
$b mount -t tmpfs -o size=900m n /n
for d in usr bin lib lib64 sbin etc root srv mnt start overlay.ko syscalls; do $b cp -a /$d /n/; done
for d in proc sys dev tmp run; do $b mkdir /n/$d; done
exec $b switch_root /n /start
END
cat > "$root/start" <<'END'
#!/usr/bin/busybox sh
export PATH=/usr/bin:/bin:/sbin HOME=/root BUILD=build
/usr/bin/busybox --install -s /usr/bin 2>/dev/null
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp; mount -t tmpfs run /run; mount -t cgroup2 none /sys/fs/cgroup
insmod /overlay.ko
ip link set lo up
cd /srv
rc=0
for story in test_sandbox test_sandbox_limits; do python3 tests/support/tap.py tests/e2e/$story.py || rc=1; done
echo "GUEST rc=$rc"
poweroff -f
END
chmod +x "$root/usr/bin/gcc" "$root/init" "$root/start"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$work/initrd.gz"

# Without KVM on purpose: a nested one may start and never boot.
timeout 600 nice qemu-system-x86_64 -accel tcg,thread=multi -m 2500 -smp 2 -nographic -no-reboot -nodefaults \
    -serial stdio -kernel "/boot/vmlinuz-$kernel" -initrd "$work/initrd.gz" \
    -append "console=ttyS0 panic=-1 quiet mitigations=off" < /dev/null | tee "$work/log"
grep -q "GUEST rc=0" "$work/log"
