"""Tries to outlive its worker: python3 stay.py KIND."""
import os
import signal
import sys
import time


def daemonise():
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(sig, signal.SIG_IGN)


kind = sys.argv[1]
if kind == "daemon":
    if os.fork() == 0:
        daemonise()
        print("daemon", os.getpid(), flush=True)
        os.closerange(0, 3)
        time.sleep(600)
        os._exit(0)
    time.sleep(0.3)
elif kind == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("stubborn", flush=True)
    time.sleep(600)
elif kind == "polite":
    # No handler: one that comes between Python's last look and the sleep would wait for its end.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print("polite", flush=True)
    signal.sigwait({signal.SIGTERM})
    os._exit(7)
elif kind == "sleep":
    print("sleeping", flush=True)
    time.sleep(600)
elif kind == "zombies":
    for _ in range(20):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.05)
            os._exit(0)
    print("made", flush=True)
    time.sleep(600)
elif kind == "kill":
    for target, sig in ((1, 9), (1, 15), (1, 19)):
        try:
            os.kill(target, sig)
            print("kill", target, sig, "OK", flush=True)
        except OSError as error:
            print("kill", target, sig, os.strerror(error.errno).replace(" ", "_"), flush=True)
    child = os.fork()
    if child == 0:
        time.sleep(600)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.kill(-1, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    print("own child", os.waitstatus_to_exitcode(status), flush=True)
