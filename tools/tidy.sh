#!/bin/sh
# tools/tidy.sh - clang-tidy over our C; the checks that find bugs, not those that argue about taste.
set -eu
checks='-*,bugprone-*,clang-analyzer-*,cert-err34-c,-bugprone-easily-swappable-parameters,-bugprone-reserved-identifier,-bugprone-assignment-in-if-condition,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result,-bugprone-macro-parentheses,-bugprone-suspicious-include,-bugprone-branch-clone'
files=$(git ls-files '*.c' | grep -E '^(base|ui-protocol|scheduler|sandbox|runtime|cli)/')
# shellcheck disable=SC2086
echo $files | tr ' ' '\n' | CHECKS=$checks xargs -P 2 -n 6 sh -c '
    clang-tidy --quiet --checks="$CHECKS" --warnings-as-errors="*" "$@" -- \
        -std=gnu17 -D_GNU_SOURCE -DSP_VERSION=\"lint\" -DSP_PREFIX=\"/usr/local\" -I. 2>/dev/null' tidy
