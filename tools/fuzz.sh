#!/bin/sh
# tools/fuzz.sh SECONDS BINARY...: each fuzz target on its corpus; a crash is saved into the corpus.
set -eu
seconds=$1
shift
for binary in "$@"; do
    name=$(basename "$binary")
    name=${name#fuzz_}
    corpus=tests/fuzz/corpus/$name
    grown=$(dirname "$binary")/corpus-$name
    mkdir -p "$corpus" "$grown"
    echo "fuzz $name: $seconds s"
    "$binary" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 \
        -artifact_prefix="$corpus/crash-" "$grown" "$corpus" >"$grown.log" 2>&1 ||
        { tail -n 40 "$grown.log"; exit 1; }
    grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "$grown.log"
done
