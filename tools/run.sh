#!/bin/sh
# tools/run.sh - `make run`: starts spacesd on a state folder in the checkout, deploys the examples,
# prints the address and a login link, and serves until Ctrl-C.
set -eu

build=${BUILD:-build}
listen=${LISTEN:-127.0.0.1:7860}
state=${STATE:-.run/state}
log=$state.log

mkdir -p "$(dirname "$state")"
ready=$(mktemp)
daemon=
stop() {
    trap - INT TERM EXIT
    rm -f "$ready"
    [ -z "$daemon" ] || { kill "$daemon" 2>/dev/null || :; wait "$daemon" 2>/dev/null || :; }
}
trap 'stop; echo; echo "stopped"; exit 0' INT TERM
trap stop EXIT

# A session of its own would lose Ctrl-C; the shell passes the signal on, so it must not hit twice.
"$build/spacesd" --supervise --state "$state" --listen "$listen" --allow-weak-sandbox >"$ready" 2>>"$log" &
daemon=$!

tries=0
until grep -q '^ready url=' "$ready"; do
    if ! kill -0 "$daemon" 2>/dev/null || [ "$tries" -ge 300 ]; then
        echo "spacesd did not start; the end of $log:" >&2
        tail -n 20 "$log" >&2
        exit 1
    fi
    tries=$((tries + 1))
    sleep 0.1
done
SPACES_URL=$(sed -n 's/^ready url=//p' "$ready" | tail -n 1)
SPACES_TOKEN=$(cat "$state/admin.token")
export SPACES_URL SPACES_TOKEN

echo "Deploying the examples ..."
for dir in examples/*/; do
    name=$(basename "$dir")
    [ -f "$dir/app.py" ] || continue
    if "$build/spaces" deploy "$dir" "examples/$name" --public --wait </dev/null; then :; else
        echo "  examples/$name did not start; see: $build/spaces logs examples/$name" >&2
    fi
done

if "$build/spaces" doctor -o json 2>/dev/null | grep -Eq '"weak_sandbox": *true'; then
    echo
    echo "  WARNING: this host cannot isolate apps completely; they run all the same (--allow-weak-sandbox)."
    echo "  Run no code here that you do not trust. What is missing, and how to mend it: $build/spaces doctor"
fi
echo
echo "  Spaces:  $SPACES_URL"
echo "  Sign in: $("$build/spaces" login-link admin)"
echo
echo "  export SPACES_URL=$SPACES_URL SPACES_TOKEN=\$(cat $state/admin.token)"
echo "  $build/spaces deploy DIR me/name     Ctrl-C stops; the log is $log"
wait "$daemon"
