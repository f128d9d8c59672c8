#!/bin/sh
# tools/deps.sh - installs the Debian packages that building and testing need; only what is missing.
#
# Asks first on a terminal. `deps.sh build` takes the packages of `make build`, `deps.sh` all.
set -eu

build="gcc make pkg-config libc6-dev libuv1-dev libjansson-dev libsqlite3-dev libsodium-dev \
libseccomp-dev libcgroup-dev libmnl-dev libyaml-dev libcurl4-openssl-dev zlib1g-dev python3"
tests="libcmocka-dev clang libclang-rt-14-dev clang-format clang-tidy node-llhttp wrk nginx-light caddy openssl \
bubblewrap nftables chromium fonts-dejavu-core fonts-noto-color-emoji procps iproute2 strace git curl \
debootstrap fakeroot fakechroot skopeo e2fsprogs qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio"

wanted=$build
[ "${1:-all}" = build ] || wanted="$build $tests"

missing=
for package in $wanted; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -q '^installed$' && continue
    # The compiler's runtime is named after its version; take the one that this Debian has.
    if [ "$package" = libclang-rt-14-dev ] && ! apt-cache show "$package" >/dev/null 2>&1 &&
        ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1; then
        continue
    fi
    missing="$missing $package"
done
# Node may come from elsewhere than Debian; any 18 or newer does.
command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 || missing="$missing nodejs npm"

[ -n "$missing" ] || exit 0
echo "spacesd needs these Debian packages:$missing"

as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || { echo "install them as root: apt-get install$missing" >&2; exit 1; }
    as_root=sudo
fi
if [ -t 0 ] && [ -t 1 ] && [ -z "${YES:-}" ]; then
    printf 'Install them now with apt-get? [Y/n] '
    read -r answer
    case $answer in [nN]*) echo "nothing was installed"; exit 1 ;; esac
fi
$as_root apt-get update -qq
# nginx-light and others would start as services: this host is not to be changed that far.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
