"""Which part of an app's file is done ahead of it."""

import os
import subprocess
import sys
import tempfile
import unittest

from harness import SDK

DO = """
import sys
sys.path[:0] = ['.', %r]
from spacekit.preload import preload
preload(%r)
import os
print([m for m in ('one', 'two', 'three') if m in sys.modules], os.environ.get('MODE'))
"""
NOTES = {"one.py": "", "two.py": "import os\nMODE = os.environ.get('MODE')\n", "three.py": ""}


class Preload(unittest.TestCase):
    def preloaded(self, text, file="app.py", more=()):
        with tempfile.TemporaryDirectory() as folder:
            for name, body in {**NOTES, **dict(more), "app.py": text}.items():
                with open(os.path.join(folder, name), "w") as out:
                    out.write(body)
            done = subprocess.run(
                [sys.executable, "-c", DO % (SDK, file)],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            return done.stdout.strip().splitlines()[-1]

    def test_the_imports_of_the_beginning_are_done(self):
        text = '"""Doc."""\nimport one\nfrom two import MODE\n'
        self.assertEqual(self.preloaded(text), "['one', 'two'] None")

    def test_what_stands_behind_a_statement_that_does_something_is_left(self):
        self.assertEqual(self.preloaded("import one\nprint('x')\nimport two\n"), "['one'] None")
        self.assertEqual(self.preloaded("import one\nx = 1\nimport two\n"), "['one', 'two'] None")

    def test_a_variable_that_an_import_reads_is_set_before_it(self):
        text = "import os\nos.environ['MODE'] = 'fast'\nimport two\n"
        more = {"two.py": "import os\nif os.environ['MODE'] == 'fast': import three\n"}
        self.assertEqual(self.preloaded(text, more=more), "['two', 'three'] fast")

    def test_an_optional_import_that_is_not_there_stops_nothing(self):
        text = "try:\n    import absent\nexcept ImportError:\n    absent = None\nimport two\n"
        self.assertEqual(self.preloaded(text), "['two'] None")

    def test_an_import_that_fails_ends_it_without_a_word(self):
        more = {"one.py": "raise SystemExit(3)\n"}
        text = "import three\nimport one\nimport two\n"
        self.assertEqual(self.preloaded(text, more=more), "['three'] None")

    def test_a_file_that_cannot_be_read_as_one_is_left_to_the_worker(self):
        self.assertEqual(self.preloaded("import one\ndef f(:\n"), "[] None")
        self.assertEqual(self.preloaded("import one\n", file="../app.py"), "[] None")
        self.assertEqual(self.preloaded("import one\n", file="missing.py"), "[] None")


if __name__ == "__main__":
    unittest.main()
