"""The network of a sandbox: the way in that the launcher hands over, and the way out that it guards."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402

PYTHON = "/usr/bin/python3"

SERVER = """
import socket, sys
s = socket.create_server(("127.0.0.1", 7860))
print("listening", flush=True)
while True:
    c, _ = s.accept()
    c.sendall(b"hello " + c.recv(100))
    c.close()
"""


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    probe = launch.Launcher()
    hello = probe.hello()
    probe.close()
    probe.remove()
    if not hello.complete:
        raise unittest.SkipTest("needs userns: " + hello.missing)


class TheWayIn(unittest.TestCase):
    def setUp(self):
        self.l = launch.Launcher()
        self.assertTrue(self.l.hello().complete)

    def tearDown(self):
        self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.l.remove()

    def serve(self, **options):
        box = self.l.sandbox(**options)
        worker = self.l.worker(box, [PYTHON, "-c", SERVER])
        self.l.read_log(worker, b"listening\n")
        return box

    def test_a_socket_of_the_sandbox_reaches_what_listens_in_it_and_nothing_listens_outside(self):
        boxes = [self.serve(space=1), self.serve(space=2, hostname="other")]
        for box in boxes:
            with self.l.connect(box, 7860) as c:
                c.sendall(b"there")
                self.assertEqual(c.recv(100), b"hello there")
            with self.assertRaises(ConnectionRefusedError):
                self.l.connect(box, 7861)
        with open("/proc/net/tcp", encoding="ascii") as f:
            self.assertEqual([line for line in f if ":1EB4 00000000:0000 0A" in line], [])

    def test_no_socket_of_a_sandbox_that_is_not_there_or_not_running(self):
        self.assertIn("no such sandbox", self.l.ask(launch.SOCKET, sandbox=99).text)
        box = self.l.sandbox()
        stop = self.l.send(launch.SANDBOX_STOP, body=b"\x00\x10\0\0", sandbox=box)
        asked = self.l.send(launch.SOCKET, sandbox=box)
        self.assertEqual(self.l.answer(stop).kind, launch.OK)
        answer = self.l.answer(asked)
        self.assertEqual((answer.kind, answer.fds), (launch.FAILED, []))
        self.assertRegex(answer.text, "not running|no such sandbox")
        self.l.event(launch.SANDBOX_GONE, sandbox=box)

    def test_the_launcher_keeps_no_descriptor_of_the_sockets_and_namespaces_that_it_gave(self):
        def descriptors():
            return len(os.listdir("/proc/%d/fd" % self.l.process.pid))
        self.l.stop(self.l.sandbox())
        box = self.serve()
        before = descriptors()
        for _ in range(20):
            self.l.connect(box, 7860).close()
        self.assertEqual(descriptors(), before)


if __name__ == "__main__":
    unittest.main()
