"""Looks at every new process until /run/files/o/end is there: is one of them still the launcher's program?"""
import os
import time

print("watching", flush=True)
looked = launcher = namespaces = 0
end = time.monotonic() + 30
while not os.path.exists("/run/files/o/end") and time.monotonic() < end:
    for pid in range(2, 200):
        if pid == os.getpid():
            continue
        try:
            with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
                before = file.read()
        except OSError:
            continue
        looked += 1
        try:
            target = os.readlink("/proc/%d/exe" % pid)
            launcher += "launcher" in target
        except OSError:
            pass
        if "launcher" in before:
            try:
                os.close(os.open("/proc/%d/ns/mnt" % pid, os.O_RDONLY))
                # It may have exec'd between the two: only what is still the launcher counts.
                with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
                    namespaces += "launcher" in file.read()
            except OSError:
                pass
print("looked", looked)
print("launcher", launcher)
print("namespaces", namespaces)
