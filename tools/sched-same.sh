#!/bin/sh
# sched-same.sh [FOLDER] - the scheduler decides alike whatever compiled it: builds a seeded run of
# 100,000 events with gcc and clang at -O0 and -O2 and compares the hashes over all actions.
set -eu
cd "$(dirname "$0")/.."
out=${1:-$(mktemp -d)}
[ $# -gt 0 ] || trap 'rm -rf "$out"' EXIT
mkdir -p "$out"

sources="tests/unit/scheduler/same.c scheduler/*.c base/map.c base/mem.c base/str.c base/id.c"
first=
for cc in gcc clang; do
    if ! command -v $cc >/dev/null; then
        echo "sched-same: $cc is not installed" >&2
        exit 1
    fi
    for opt in -O0 -O2; do
        # shellcheck disable=SC2086  # the list of sources is meant to be split
        $cc -std=gnu17 -D_GNU_SOURCE -I. $opt -include base/banned.h -o "$out/same$opt-$cc" $sources
        line=$("$out/same$opt-$cc")
        echo "$cc $opt: $line"
        first=${first:-$line}
        if [ "$line" != "$first" ]; then
            echo "not ok 1 - the scheduler decides alike with every compiler: $cc $opt does not"
            exit 1
        fi
    done
done
echo "ok 1 - the scheduler decides alike with every compiler"
