"""What a guest runs after its boot: each suite in turn; its TAP goes out by the second serial port.

A suite begins with `SUITE name` and ends with `END name exit seconds`. Suites that are not in the tree
are left out. Guest time runs 5 to 10 times slower than real time, so a suite's own deadline is long.
"""

import os
import platform
import re
import subprocess
import sys
import time

# The one list. first_light starts and stops our unit; the others bring their own daemons and launchers.
SUITES = (
    "tests/guest/first_light.py",
    "tests/e2e/test_sandbox.py",
    "tests/e2e/test_sandbox_limits.py",
    "tests/e2e/test_sandbox_network.py",
    "tests/e2e/test_zygote.py",
    "tests/e2e/test_pool.py",
    "tests/e2e/test_data.py",
    "tests/e2e/test_resources.py",
    "tests/e2e/test_gpu.py",
    "tests/guest/start_steps.py",
)
ESCAPE = "tests/escape/run.py"
SUITE_TIMEOUT_S = 1500


def wanted(name):
    """The kernel's command line carries what `make guest-test T=text` asked for."""
    with open("/proc/cmdline", encoding="utf-8") as file:
        match = re.search(r"\bspaces\.suite=(\S+)", file.read())
    return match is None or match.group(1) in name


def facts():
    version = subprocess.run(["systemctl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    with open("/etc/debian_version", encoding="utf-8") as file:
        debian = file.read().strip()
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        group = file.read().strip()
    with open("/sys/fs/cgroup/cgroup.controllers", encoding="utf-8") as file:
        controllers = file.read().strip()
    print(f"FACT kernel {platform.release()}\nFACT systemd {version}\nFACT debian {debian}\n"
          f"FACT group {group}\nFACT controllers {controllers}", flush=True)


def run(name, command):
    print(f"SUITE {name}", flush=True)
    began = time.monotonic()
    try:
        code = subprocess.run(command, env={**os.environ, "BUILD": "build", "HOME": "/root", "LANG": "C.UTF-8",
                                            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
                              stdin=subprocess.DEVNULL, stdout=sys.stdout, stderr=subprocess.STDOUT,
                              timeout=SUITE_TIMEOUT_S, check=False).returncode
    except subprocess.TimeoutExpired:
        code = 124
    print(f"END {name} {code} {time.monotonic() - began:.0f}", flush=True)


def main():
    facts()
    for name in SUITES:
        if os.path.exists(name) and wanted(name):
            run(name, ["/usr/bin/python3", "tests/support/tap.py", name])
    if os.path.exists(ESCAPE) and wanted(ESCAPE):
        run(ESCAPE, ["/usr/bin/python3", ESCAPE, "build"])
    print("DONE", flush=True)


if __name__ == "__main__":
    main()
