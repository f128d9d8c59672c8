#!/usr/bin/python3
"""From a call to its answer: a frozen Space beside one that runs. Root. BUILD=build tests/bench/bench_freeze.py [ROUNDS]"""

import os
import shutil
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))
import harness  # noqa: E402


def call_ms(d):
    began = time.monotonic()
    event, _ = d.call("me/echo", "echo", ["x"])
    assert event == "complete", event
    return (time.monotonic() - began) * 1000


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    d = harness.Daemon(args=["--set", "space.freeze_after=1s"])
    try:
        d.deploy("echo", "me/echo")
        call_ms(d)
        running, frozen = [], []
        for _ in range(rounds):
            running.append(call_ms(d))
            harness.wait_for("frozen", lambda: d.runtime("me/echo")["frozen"])
            frozen.append(call_ms(d))
        print("running: median %.1f ms, worst %.1f; frozen: median %.1f ms, worst %.1f; %d rounds"
              % (statistics.median(running), max(running), statistics.median(frozen), max(frozen), rounds))
    finally:
        d.stop()
        shutil.rmtree(d.state, ignore_errors=True)
        os.unlink(d.log_path)


if __name__ == "__main__":
    main()
