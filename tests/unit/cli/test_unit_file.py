"""deploy/spacesd.service against the code: what the launcher keeps must not be taken from it before."""

import os
import re
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


class UnitFile(unittest.TestCase):
    def setUp(self):
        self.unit = read("deploy/spacesd.service")

    def values(self, key):
        return re.findall(rf"^{key}=(.*)$", self.unit, re.MULTILINE)

    def test_every_capability_that_the_launcher_keeps_is_in_the_bounding_set(self):
        kept = set(re.findall(r"^ {8}(CAP_\w+),", read("sandbox/privs.c"), re.MULTILINE))
        self.assertIn("CAP_SYS_ADMIN", kept)
        self.assertEqual(kept - set(" ".join(self.values("CapabilityBoundingSet")).split()), set())

    def test_the_leaf_is_the_one_that_the_launcher_makes(self):
        leaf = re.search(r'SP_CGROUP_OWN_LEAF "(\w+)"', read("sandbox/cgroup-internal.h")).group(1)
        self.assertEqual(self.values("DelegateSubgroup"), [leaf])

    def test_a_stop_has_the_time_that_the_default_settings_give_it(self):
        table = read("runtime/config_table.c")
        given = [int(re.search(r'\{"%s", SP_CONFIG_DURATION, "(\d+)s"' % name, table).group(1))
                 for name in ("drain", "space.stop_grace")]
        self.assertGreater(int(self.values("TimeoutStopSec")[0]), sum(given))
        self.assertIn("`drain` (%ds) and `space.stop_grace` (%ds)" % tuple(given), self.unit)

    def test_a_wrong_configuration_is_not_tried_again(self):
        self.assertEqual(self.values("RestartPreventExitStatus"),
                         re.findall(r"^#define EXIT_USAGE +(\d+)", read("runtime/main.c"), re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
