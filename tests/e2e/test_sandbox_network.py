"""The network of a sandbox: the way in that the launcher hands over, and the way out that it guards."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402
import netns  # noqa: E402
from net_programs import DATAGRAMS, FORGE, FORGE_DROPPED, FORGED, REACH, RESOLVE, table  # noqa: E402

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
        # No sandbox is made ahead: descriptors are counted.
        self.l = launch.Launcher(options=("--pool", "0"))
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
            self.l.settle()
            return len(os.listdir("/proc/%d/fd" % self.l.process.pid))
        self.l.stop(self.l.sandbox())
        box = self.serve()
        before = descriptors()
        for _ in range(20):
            self.l.connect(box, 7860).close()
        self.assertEqual(descriptors(), before)


class TheWayOut(unittest.TestCase):
    """The launcher lives in a namespace that it takes for the host; another one is the internet."""

    allowed = "outbound,allow-list"
    more = ()

    def setUp(self):
        if not netns.can():
            self.skipTest("needs nftables: nft, ip, bridge, nsenter, sysctl")
        self.world = netns.World()
        self.addCleanup(self.world.remove)
        self.l = launch.Launcher(wrap=self.world.enter(self.world.host),
                                 options=("--network-allowed", self.allowed, "--network-dns",
                                          netns.DNS, *self.more))
        self.addCleanup(self.l.remove)
        self.assertTrue(self.l.hello().complete)

    def tearDown(self):
        if self.l.sock.fileno() >= 0:
            self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.assertEqual(launch.groups_of(self.l.state_id), [])
        self.assert_nothing_left()

    def links(self):
        text = self.world.in_host("ip", "-o", "link")
        return [line.split(": ")[1].split("@")[0] for line in text.splitlines()]

    def assert_nothing_left(self):
        self.assertEqual(sorted(self.links()), ["lo", "up0"])
        self.assertEqual(self.world.in_host("nft", "list", "tables"), "")

    def outbound(self, **more):
        return self.l.sandbox(network=launch.NETWORK_OUTBOUND, **more)

    def listed(self, allow, **more):
        return self.l.sandbox(network=launch.NETWORK_ALLOW_LIST, allow=allow, **more)

    def table(self, box, program, *argv):
        exited, text = self.l.run(box, [PYTHON, "-c", program, *argv])
        self.assertEqual(exited.status, 0, text)
        return table(text)

    def reach(self, box, *where):
        return self.table(box, REACH, *where)

    def address_of(self, box):
        got = self.table(box, "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                              "s.connect(('11.9.9.9', 9))\nprint('address', s.getsockname()[0])\n")
        return got["address"]

    # --- outbound -------------------------------------------------------------------------------

    def test_outbound_reaches_public_addresses_and_names_and_none_reaches_nothing(self):
        box = self.outbound()
        said = self.reach(box, netns.PUBLIC + "/80", netns.PUBLIC_2 + "/80", "public.test/80",
                          "alias.test/80")
        # Seen from there it is the host that comes.
        self.assertEqual(set(said.values()), {"hello " + netns.HOST})
        said = self.reach(self.l.sandbox(space=8), netns.PUBLIC + "/80", "public.test/80")
        self.assertTrue(all(v.startswith("no:") for v in said.values()), said)

    def test_what_is_not_public_is_out_of_reach(self):  # 38
        where = [a + "/80" for a in netns.CLOSED]
        control = subprocess.run(self.world.enter(self.world.host) + [PYTHON, "-c", REACH, *where],
                                 capture_output=True, text=True, check=True).stdout
        self.assertEqual(control.count("hello"), len(where), "the host itself gets there: " + control)
        where += ["0.0.0.0/80", "[::ffff:10.9.9.9]/80".replace("[", "").replace("]", ""),
                  "::ffff:169.254.169.254/80", "fd00::9/80", "224.0.0.1/80", "255.255.255.255/80"]
        said = self.reach(self.outbound(), *where)
        self.assertEqual({k: v for k, v in said.items() if not v.startswith("no:")}, {})

    def test_the_host_and_the_neighbour_are_out_of_reach(self):  # 38
        server = subprocess.Popen(
            self.world.enter(self.world.host) +
            [PYTHON, "-uc", "import socket\ns = socket.create_server(('0.0.0.0', 5000))\n"
             "print('ready')\nwhile True: s.accept()[0].sendall(b'oops')"],
            stdout=subprocess.PIPE)
        try:
            self.assertEqual(server.stdout.readline(), b"ready\n")
            one, other = self.outbound(space=1), self.outbound(space=2, hostname="other")
            worker = self.l.worker(other, [PYTHON, "-c", SERVER.replace("127.0.0.1", "0.0.0.0")])
            self.l.read_log(worker, b"listening\n")
            neighbour = self.address_of(other)
            said = self.reach(one, "10.208.0.1/5000", netns.HOST + "/5000", "127.0.0.1/5000",
                              neighbour + "/7860", "10.208.255.255/5000", "10.208.0.1/80")
            self.assertEqual({k: v for k, v in said.items() if not v.startswith("no:")}, {})
            # The neighbour does listen, and the host's port is open.
            with self.l.connect(other, 7860) as c:
                c.sendall(b"x")
                self.assertEqual(c.recv(100), b"hello x")
            self.assertIn("oops", subprocess.run(
                self.world.enter(self.world.host) + [PYTHON, "-c", REACH, "10.208.0.1/5000"],
                capture_output=True, text=True, check=True).stdout)
            # From outside nothing comes in, not even by a route to the range.
            netns.ip("-n", self.world.internet, "route", "add", "10.208.0.0/16", "via", netns.HOST)
            outside = subprocess.run(self.world.enter(self.world.internet) +
                                     [PYTHON, "-c", REACH, neighbour + "/7860"],
                                     capture_output=True, text=True, check=True).stdout
            self.assertIn("no:", outside)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()

    def test_an_app_cannot_change_its_address_forge_frames_or_speak_for_others(self):  # 40
        box = self.outbound()
        said = self.table(box, FORGE)
        self.assertIn("address", said)
        self.assertLessEqual({name for name in said if said[name] == "OK"}, FORGE_DROPPED, said)
        # What could be sent was dropped at the port: the bridge has heard of no other address.
        heard = self.world.in_host("ip", "neigh", "show") + self.world.in_host("bridge", "fdb", "show")
        self.assertNotIn(FORGED, heard)
        port = next(name for name in self.links() if name.startswith("sv"))
        flags = self.world.in_host("bridge", "-d", "link", "show", "dev", port)
        for flag in ("isolated on", "learning off", "flood off", "guard on"):
            self.assertIn(flag, flags)

    def test_frames_of_a_port_with_another_address_are_dropped(self):  # 40
        box = self.outbound()
        before = self.reach(box, netns.PUBLIC + "/80")
        # As an app with a flaw of the kernel behind it: root of the namespace, from outside.
        pid = next(p for p in launch.processes_of(self.l.state_id) if self.is_in(p, box))
        inside = ["nsenter", "--net=/proc/%d/ns/net" % pid]
        subprocess.run(inside + ["ip", "addr", "add", "10.208.0.99/32", "dev", "eth0"], check=True)
        forged = subprocess.run(inside + [PYTHON, "-c", REACH.replace(
            "s.settimeout(2)", "s.settimeout(1); s.bind(('10.208.0.99', 0))"), netns.PUBLIC + "/80"],
            capture_output=True, text=True, check=True).stdout
        self.assertIn("no:", forged)
        subprocess.run(inside + ["ip", "link", "set", "eth0", "address", "02:5a:0a:d0:00:63"], check=True)
        self.assertIn("no:", self.reach(box, netns.PUBLIC + "/80")[netns.PUBLIC + "/80"])
        self.assertEqual(set(before.values()), {"hello " + netns.HOST})

    def is_in(self, pid, box):
        try:
            with open("/proc/%d/status" % pid, encoding="ascii") as f, \
                    open("/proc/%d/net/dev" % pid, encoding="ascii") as d:
                return re.search(r"NSpid:\s+\d+\s+1\n", f.read()) and "eth0" in d.read()
        except OSError:
            return False

    # --- names ----------------------------------------------------------------------------------

    def test_a_name_that_leads_to_a_private_address_is_refused(self):  # 41
        said = self.table(self.outbound(), RESOLVE, "public.test", "private.test", "metadata.test",
                          "mixed.test", "loop.test", "evil-alias.test", "alias.test", "nowhere.test")
        self.assertEqual((said.pop("public.test"), said.pop("alias.test")), (netns.PUBLIC,) * 2)
        self.assertTrue(all(v.startswith("no:") for v in said.values()), said)

    def test_an_allow_list_lets_only_its_names_through_and_only_for_a_time(self):
        box = self.listed("public.test,*.second.test")
        self.assertIn("no:", self.reach(box, netns.PUBLIC + "/80")[netns.PUBLIC + "/80"])
        said = self.table(box, RESOLVE, "second.test", "sub.second.test", "public.test", "private.test")
        self.assertEqual((said["sub.second.test"], said["public.test"]), (netns.PUBLIC_2, netns.PUBLIC))
        self.assertTrue(said["second.test"].startswith("no:") and said["private.test"].startswith("no:"))
        where = (netns.PUBLIC + "/80", netns.PUBLIC_2 + "/80", "11.0.0.1/80")
        said = self.reach(box, *where)
        self.assertEqual([said[w].split()[0] for w in where], ["hello", "hello", "no:"])
        # Another Space has asked for nothing, so nothing is open for it.
        other = self.listed("public.test", space=9)
        self.assertIn("no:", self.reach(other, where[0])[where[0]])
        # The short-lived one goes; the other stays.
        deadline = time.monotonic() + 30
        while self.reach(box, where[0])[where[0]].startswith("hello"):
            self.assertLess(time.monotonic(), deadline, "an address stays open for ever")
            time.sleep(0.3)  # the cap on connections is another test
        self.assertIn("hello", self.reach(box, where[1])[where[1]])

    # --- ends -----------------------------------------------------------------------------------

    def test_a_stop_takes_the_interface_and_the_rules_with_it(self):
        box = self.outbound()
        self.assertEqual(len([n for n in self.links() if n.startswith("sv")]), 1)
        address = self.address_of(box)
        self.assertIn(address, self.world.in_host("nft", "list", "ruleset"))
        self.l.stop(box)
        self.assertEqual([n for n in self.links() if n.startswith("sv")], [])
        self.assertNotIn(address, self.world.in_host("nft", "list", "ruleset"))

    def datagrams(self, box):
        worker = self.l.worker(box, [PYTHON, "-c", DATAGRAMS])
        self.l.read_log(worker, b"bound\n")

    def send(self, box, word):
        """Sends it to the echo outside: what comes back first."""
        with self.l.connect(box, 7860) as c:
            c.sendall(word.encode())
            return c.recv(300).decode()

    def say_to(self, port, word):
        """PUBLIC's echo sends a word to the host, which remembers whose the port is, or does not."""
        program = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(10)\n"
                   "s.sendto(b'to %s %d %s', ('%s', %d))\ns.recv(300)"
                   % (netns.HOST, port, word, netns.PUBLIC, netns.ECHO))
        subprocess.run(self.world.enter(self.world.internet) + [PYTHON, "-c", program], check=True)

    def test_who_gets_an_address_again_gets_nothing_of_the_one_before(self):
        box = self.outbound()
        address = self.address_of(box)
        self.datagrams(box)
        self.assertEqual(self.send(box, "first"), "first from %s 5555" % netns.HOST)
        self.say_to(5555, "late")
        self.assertEqual(self.send(box, "second"), "late")  # the way that must be closed for the next one
        self.kill_and_start()
        listed = self.listed("public.test")
        self.assertEqual(self.address_of(listed), address)
        self.datagrams(listed)
        # It goes on with nothing that its own list would not let it begin.
        self.assertIn("no:", self.send(listed, "third"))
        self.kill_and_start()
        after = self.outbound()
        self.assertEqual(self.address_of(after), address)
        self.datagrams(after)
        self.say_to(5555, "late")
        self.assertRegex(self.send(after, "fourth"), "^fourth from %s" % netns.HOST)

    def test_a_stop_takes_the_connections_out_of_the_hosts_table(self):
        one, other = self.outbound(space=1), self.outbound(space=2)
        for box in (one, other):
            self.datagrams(box)
            self.send(box, "word")
        self.reach(one, *["%s/%d" % (netns.PUBLIC, netns.ONCE)] * 3)
        self.assertGreaterEqual(self.world.connections(), 3)
        self.l.stop(one)
        self.assertEqual(self.world.connections(), 1, "that of the one which runs")
        self.l.stop(other)
        self.assertEqual(self.world.connections(), 0)

    def kill_and_start(self):
        """A life that had no time to give anything back, and the next one."""
        self.l.process.kill()
        self.l.process.wait()
        self.l.sock.close()
        for worker in list(self.l.logs):
            self.l.close_log(worker)
        deadline = time.monotonic() + 10
        while launch.processes_of(self.l.state_id):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.l.start()
        self.l.hello()

    def test_a_killed_launcher_leaves_rules_that_hold_and_the_next_one_sweeps(self):
        self.outbound()
        pid = self.l.process.pid
        os.kill(pid, 9)
        self.l.process.wait()
        self.l.sock.close()
        deadline = time.monotonic() + 10
        while launch.processes_of(self.l.state_id):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.assertIn("closed", self.world.in_host("nft", "list", "ruleset"))
        self.l.start()
        self.l.hello()
        self.assertEqual([n for n in self.links() if n.startswith("sv")], [])
        self.assertEqual(set(self.reach(self.outbound(), "public.test/80").values()),
                         {"hello " + netns.HOST})

    def test_a_resolver_that_is_killed_comes_back_with_what_it_knew(self):
        box = self.listed("public.test")
        (pid,) = [p for p in self.processes("spaces-resolver")]
        os.kill(pid, 9)
        deadline = time.monotonic() + 20
        while self.table(box, RESOLVE, "public.test")["public.test"] != netns.PUBLIC:
            self.assertLess(time.monotonic(), deadline)
        self.assertNotIn(pid, self.processes("spaces-resolver"))

    def test_a_resolver_that_no_longer_listens_ends_with_the_launcher_and_frees_the_port(self):
        self.outbound()
        (pid,) = self.processes("spaces-resolver")
        os.kill(pid, signal.SIGSTOP)
        try:
            os.kill(self.l.process.pid, 9)
            self.l.process.wait()
            self.l.sock.close()
            self.l.start()
            self.l.hello()
            self.assertEqual(set(self.reach(self.outbound(), "public.test/80").values()),
                             {"hello " + netns.HOST})
            self.assertNotIn(pid, self.processes("spaces-resolver"))
        finally:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass

    def processes(self, name):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                same = os.readlink("/proc/%s/ns/net" % pid) == os.readlink(
                    "/proc/%d/ns/net" % self.l.process.pid)
                with open("/proc/%s/cmdline" % pid, "rb") as f:
                    if same and f.read().split(b"\0")[0] == name.encode():
                        found.append(int(pid))
            except OSError:
                pass
        return found


class ACap(TheWayOut):
    more = ("--network-connections", "20")

    def test_a_flood_of_connections_ends_at_the_cap_and_others_still_connect(self):  # 42
        flood, other = self.outbound(space=1), self.outbound(space=2)
        worker = self.l.worker(flood, [PYTHON, "-c", """
import socket, time
held = []
for i in range(60):
    s = socket.socket(); s.setblocking(False)
    s.connect_ex(("11.1.0.1", 80)); held.append(s)
time.sleep(1.5)
def through(s):
    try: return s.recv(100).startswith(b"hello")
    except OSError: return False
print("open", sum(map(through, held)), flush=True)
time.sleep(600)
"""])
        text = self.l.read_log(worker, b"open ")
        while not text.endswith("\n"):
            text += self.l.read_log(worker, b"\n")
        self.assertEqual(text, "open 20\n")
        self.assertEqual(set(self.reach(other, netns.PUBLIC + "/80").values()), {"hello " + netns.HOST})


    def test_connections_that_are_over_count_no_more_and_leave_the_hosts_table_soon(self):
        box = self.outbound()
        where = "%s/%d" % (netns.PUBLIC, netns.ONCE)
        for _ in range(3):  # twice the cap, and more
            self.assertEqual(self.table(box, """
import socket
def once():
    with socket.create_connection(("11.1.0.1", 81), 5) as s: return s.makefile().read()
print("all", {once() for _ in range(20)})
""")["all"], "{'hello\\n'}")
        self.assertEqual(self.reach(box, where)[where], "hello")
        self.assertGreater(self.world.connections(), 20)
        deadline = time.monotonic() + 40  # by itself it would be two minutes
        while self.world.connections():
            self.assertLess(time.monotonic(), deadline, "%d are still there" % self.world.connections())
            time.sleep(0.2)


class TheOperatorDecides(TheWayOut):
    allowed = "allow-list"

    def test_a_mode_that_the_operator_does_not_allow_is_refused_by_the_launcher(self):
        with self.assertRaisesRegex(RuntimeError, "'outbound' is not allowed on this host"):
            self.outbound()
        for more, said in ((dict(network=7), "unknown network"),
                           (dict(network=launch.NETWORK_NONE, allow="a.test"), "without an allow-list"),
                           (dict(network=launch.NETWORK_ALLOW_LIST, allow="a b"), "expected such as")):
            with self.assertRaisesRegex(RuntimeError, said):
                self.l.sandbox(**more)
        self.l.stop(self.listed("public.test"))


for case in (ACap, TheOperatorDecides):  # only their own
    for inherited in [n for n in dir(TheWayOut) if n.startswith("test_")]:
        setattr(case, inherited, None)
del case


class NoForwarding(unittest.TestCase):
    @staticmethod
    def doctor(world):
        said = json.loads(world.in_host(os.path.abspath(launch.BUILD) + "/spaces-launcher", "--doctor"))
        return next(item for item in said if item["name"] == "outbound network")

    def test_a_host_that_forwards_nothing_says_what_to_set(self):
        if not netns.can():
            self.skipTest("needs nftables: nft, ip, bridge, nsenter, sysctl")
        world = netns.World()
        self.addCleanup(world.remove)
        self.assertEqual(self.doctor(world)["ok"], True)
        world.in_host("sysctl", "-qw", "net.ipv4.conf.up0.forwarding=0")
        self.assertIn("set sysctl net.ipv4.conf.up0.forwarding=1", self.doctor(world)["why"])
        driver = launch.Launcher(wrap=world.enter(world.host), options=(
            "--network-allowed", "outbound", "--network-dns", netns.DNS))
        self.addCleanup(driver.remove)
        driver.hello()
        with self.assertRaisesRegex(RuntimeError, "set sysctl net.ipv4.conf.up0.forwarding=1"):
            driver.sandbox(network=launch.NETWORK_OUTBOUND)
        driver.stop(driver.sandbox())
        self.assertEqual(driver.close(), 0)
        self.assertEqual(world.in_host("nft", "list", "tables"), "")


if __name__ == "__main__":
    unittest.main()
