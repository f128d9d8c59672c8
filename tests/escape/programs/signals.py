"""Signals to pid 1, to a pid of the host and to all: python3 signals.py PID."""
import os
import signal
import sys
import time

from attack import attempt

attempt("init_kill", lambda: os.kill(1, 9))
attempt("init_term", lambda: os.kill(1, 15))
attempt("init_stop", lambda: os.kill(1, 19))
attempt("host", lambda: os.kill(int(sys.argv[1]) + 100000, 9))
child = os.fork()
if child == 0:
    time.sleep(600)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(-1, signal.SIGTERM)
print("own_child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
