#!/usr/bin/python3
"""Bases from a real Debian mirror, and an app in each: base_real.py [debian:12]. Not part of `make test`: it downloads.

Prints a row for docs/bases.md each: what was made, how long it took, its size, the Python that the app has.
"""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

APP = '''import sys, gradio as gr
gr.Interface(lambda _: sys.version.split()[0] + " on " + open("/etc/debian_version").read().strip(), "text", "text", api_name="which").launch()
'''
WHICH = sys.argv[1:] or ["debian:12"]


class Real(harness.Case):
    def test_debian_is_made_and_an_app_runs_in_it(self):
        d = self.daemon()
        print("| source | made in | size | files | the app's Python |\n|---|---|---|---|---|")
        for source in WHICH:
            name = source.replace(":", "-")
            began = time.monotonic()
            d.cli("base", "create", name, source, timeout=1800)
            took = time.monotonic() - began
            base = d.get("/api/bases/" + name).json
            d.deploy(self.folder({"app.py": APP, "README.md": "---\nbase: %s\n---\n" % name}), "admin/" + name)
            said = d.call("admin/" + name, "which", [""])[1][0]
            print("| `%s` | %.0f s | %d MB | %d | %s |" % (source, took, base["bytes"] // 10**6, base["files"], said), flush=True)


if __name__ == "__main__":
    harness.needs_root()
    unittest.main(argv=sys.argv[:1])
