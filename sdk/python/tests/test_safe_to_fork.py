"""What keeps an app's imports from being forked, each with its reason."""

import os
import subprocess
import sys
import tempfile
import unittest

from harness import SDK

LOOK = """
import sys
sys.path.insert(0, %r)
from spacekit import safe_to_fork
before = safe_to_fork.open_files()
%s
print(safe_to_fork.reason_against(before))
"""


def reason(code, cwd=None):
    done = subprocess.run(
        [sys.executable, "-c", LOOK % (SDK, code)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


class SafeToFork(unittest.TestCase):
    def test_imports_that_leave_nothing_behind_are_safe(self):
        self.assertEqual(reason("import json, sqlite3, tempfile, threading"), "None")

    def test_threads_are_refused_with_their_names(self):
        code = (
            "import threading, time\n"
            "threading.Thread(target=time.sleep, args=(99,), name='ticker', daemon=True).start()"
        )
        self.assertEqual(reason(code), "2 threads run after its imports: ticker")

    def test_a_thread_of_a_library_is_refused_without_a_name(self):
        code = "import _thread, time\n_thread.start_new_thread(time.sleep, (99,))"
        self.assertEqual(reason(code), "2 threads run after its imports")

    def test_cuda_is_refused_where_its_library_is_mapped(self):
        """The stand-in is a file of that name: what counts is what /proc/self/maps says."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "libcuda.so.1"), "wb") as file:
                file.write(b"\0" * 4096)
            code = (
                "import mmap\n"
                "with open('libcuda.so.1', 'rb') as f:\n"
                "    m = mmap.mmap(f.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)"
            )
            self.assertEqual(reason(code, folder), "CUDA is loaded by its imports")

    def test_an_open_database_is_refused_in_memory_and_before_its_first_query(self):
        with tempfile.TemporaryDirectory() as folder:
            for place in (":memory:", "x.db"):
                with self.subTest(place):
                    self.assertEqual(
                        reason("import sqlite3\ndb = sqlite3.connect(%r)" % place, folder),
                        "a database (sqlite3) is open after its imports",
                    )

    def test_an_open_socket_is_refused_and_a_closed_one_is_not(self):
        self.assertEqual(
            reason("import socket\ns = socket.socket()"), "a socket is open after its imports"
        )
        self.assertEqual(reason("import socket\nsocket.socket().close()"), "None")

    def test_a_temporary_folder_is_refused_and_a_removed_one_is_not(self):
        code = "import tempfile\nt = tempfile.TemporaryDirectory()"
        self.assertIn("a temporary folder is made by its imports", reason(code))
        self.assertEqual(reason(code + "\nt.cleanup()"), "None")

    def test_shared_memory_is_refused(self):
        self.assertEqual(
            reason("import mmap\nm = mmap.mmap(-1, 4096)"),
            "memory that forks would share is mapped by its imports",
        )


if __name__ == "__main__":
    unittest.main()
