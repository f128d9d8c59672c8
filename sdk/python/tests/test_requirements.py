"""requirements.txt against what the base has."""

import os
import tempfile
import unittest

from harness import WorkerTest
from spacekit import requirements
from spacekit.pep508 import Marker, Requirement, satisfies

SIMPLE = "import gradio as gr\ngr.Interface(lambda x: x, 'text', 'text').launch()\n"


class Refused(WorkerTest):
    def test_missing_names_are_listed(self):
        text = "gradio==4.44\nspaces\n# comment\nsurely-not-here>=1  # why\nalso_not.Here\n"
        message = self.failure(SIMPLE, files={"requirements.txt": text})
        self.assertEqual(message["stage"], "BUILD_ERROR")
        self.assertEqual(message["missing"], ["surely-not-here>=1", "also_not.Here"])
        self.assertIn(
            "requirements.txt names what this base does not have: surely-not-here>=1, also_not.Here.",
            message["message"],
        )

    def test_the_app_is_not_run_then(self):
        files = {"requirements.txt": "surely-not-here"}
        worker = self.start("open('ran', 'w')\n" + SIMPLE, files=files)
        worker.hear_type("failed")
        self.assertFalse(os.path.exists(worker.app_folder + "/ran"))

    def test_what_does_not_apply_or_is_ours_is_fine(self):
        text = (
            "gradio[oauth]>=5\n\n--extra-index-url https://x.invalid/simple\n"
            "nothere; python_version < '3'\nnothere ; sys_platform == 'win32'\n"
        )
        self.start(SIMPLE, files={"requirements.txt": text}).ready()

    def test_malformed_line_is_named(self):
        message = self.failure(SIMPLE, files={"requirements.txt": "ok ok ok\n"})
        self.assertEqual(message["stage"], "BUILD_ERROR")
        self.assertIn("'ok ok ok'", message["message"])


class Files(unittest.TestCase):
    def lacking(self, text, **others):
        with tempfile.TemporaryDirectory() as folder:
            for name, content in dict(others, requirements=text).items():
                with open(os.path.join(folder, name + ".txt"), "w") as file:
                    file.write(content)
            return requirements.missing(os.path.join(folder, "requirements.txt"))

    def test_formats(self):
        self.assertEqual(self.lacking("nothere \\\n >= 1 --hash=sha256:00\n"), ["nothere>=1"])
        self.assertEqual(self.lacking("nothere @ https://x.invalid/a.whl\n"), ["nothere"])
        self.assertEqual(self.lacking("git+https://x.invalid/r.git#egg=thing\n"), ["thing"])
        self.assertEqual(
            self.lacking("-e git+https://x.invalid/r.git\n"), ["git+https://x.invalid/r.git"]
        )
        self.assertEqual(self.lacking("./wheels/x.whl\n"), ["./wheels/x.whl"])
        self.assertEqual(self.lacking("a-b\na-b\n"), ["a-b"])
        self.assertEqual(self.lacking("-r more.txt\n", more="nothere\n"), ["nothere"])
        self.assertEqual(self.lacking("nothere(>=1,<2)\n"), ["nothere>=1,<2"])

    def test_files_outside_and_circles_are_refused(self):
        for text in ("-r /etc/passwd", "-r ../x.txt", "-r requirements.txt"):
            with self.subTest(text=text), self.assertRaises(requirements.Malformed):
                self.lacking(text)

    def test_version_that_the_base_does_not_satisfy(self):
        import importlib.metadata

        def version(name):
            if name == "some-lib":
                return "1.2.3"
            raise importlib.metadata.PackageNotFoundError(name)

        real, importlib.metadata.version = importlib.metadata.version, version
        try:
            self.assertEqual(self.lacking("Some_Lib==2.0\n"), ["Some_Lib==2.0 (base has 1.2.3)"])
            self.assertEqual(self.lacking("some.lib~=1.2\n"), [])
            self.assertEqual(
                self.lacking("some-lib @ https://x.invalid/x.whl\n"), ["some-lib (base has 1.2.3)"]
            )
        finally:
            importlib.metadata.version = real


class Versions(unittest.TestCase):
    def test_specifiers(self):
        good = """1.2==1.2.0 1.2.3==1.2.* 1.2.3~=1.2 1.2.3~=1.2.1 2.0!=2.1 1.10>1.9 1.0>=1.0rc1
            1.0rc1<1.0 1.0.dev1<1.0a1 1.0.post1>1.0 1!1.0>9 2.0+cpu==2.0 1.0a2>1.0a1 1.0===1.0
            1.2!=1.3.* v1.0==1.0 1.0-1==1.0.post1 0.1.9<0.1.10 2.0+cpu==2.0+cpu"""
        bad = """1.3~=1.2.1 2.0~=1.2 1.2.3==1.2 1.2==1.3.* 1.0rc1>=1.0 x==1 1.0==y 1.2.3!=1.2.*
            1.0===1.0.0 1.0.post1<=1.0 2.0==2.0+cpu"""
        for text, expected in [(t, True) for t in good.split()] + [(t, False) for t in bad.split()]:
            with self.subTest(text=text):
                for operator in ("===", "==", "~=", "!=", "<=", ">=", "<", ">"):
                    has, found, wanted = text.partition(operator)
                    if found:
                        break
                self.assertEqual(satisfies(has, operator, wanted), expected)

    def test_markers(self):
        for text, expected in (
            ("python_version >= '3.8'", True),
            ("python_version < '3.10'", False),
            ("'linux' in sys_platform", True),
            ("sys_platform not in 'linux2'", False),
            ("os_name == 'nt' or os_name == 'posix'", True),
            ("os_name == 'nt' and (os_name == 'nt' or os_name == 'posix')", False),
            ("(extra == 'x')", False),
            ('platform_system == "Linux"', True),
            ("python_full_version >= '3.1.0'", True),
        ):
            with self.subTest(text=text):
                self.assertEqual(Marker(text).value(), expected)
        for text in (
            "os_name ==",
            "nonsense == '1'",
            "python_version >= '3' extra",
            "(",
            "'a' ~ 'b'",
        ):
            with self.subTest(text=text):
                self.assertTrue(Requirement("x; " + text).applies())

    def test_not_requirements(self):
        for text in ("", "!!", "a b", "a >= ", "a >= 1 2", "-x", "a =1"):
            with self.subTest(text=text), self.assertRaises(ValueError):
                Requirement(text)


if __name__ == "__main__":
    unittest.main()
