"""A Space of a whole daemon with a network: the daemon lives on a host that the test made, and behind it is an internet
that answers with every address that an app must not reach (tests/support/netns.py)."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # noqa: E402

sys.path.insert(0, os.path.join(harness.ROOT, "tests", "support"))
import netns  # noqa: E402
from net_programs import REACH, RESOLVE, table  # noqa: E402

APP = f'''import subprocess, sys, time, gradio as gr
BORN = str(time.time_ns())

def run(program, *argv):
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True)
    return done.stdout + done.stderr

def reach(where):
    return run({REACH!r}, *where.split())

def resolve(names):
    return run({RESOLVE!r}, *names.split())

def born():
    return BORN

def told():
    import os
    return os.environ.get("http_proxy", "")

with gr.Blocks() as demo:
    text, out = gr.Textbox(), gr.Textbox()
    gr.Button().click(reach, text, out, api_name="reach")
    gr.Button().click(resolve, text, out, api_name="resolve")
    gr.Button().click(born, None, out, api_name="born")
    gr.Button().click(told, None, out, api_name="told")
demo.launch()
'''
WEB, WEB_2 = netns.PUBLIC + "/80", netns.PUBLIC_2 + "/80"
HELLO = "hello " + netns.HOST  # seen from there it is the host that comes
INSIDE = [address + "/80" for address in netns.CLOSED] + ["10.208.0.1/80", netns.HOST + "/80", "fd00::9/80"]
FORBIDDEN = "network 'outbound' is not allowed on this host (see network.allowed)"


def setUpModule():
    harness.needs_root()
    if not netns.can():
        raise unittest.SkipTest("needs nftables: nft, ip, bridge, nsenter, sysctl")


class Case(harness.Case):
    def setUp(self):
        super().setUp()
        self.world = netns.World()
        self.addCleanup(self.world.remove)
        visit = self.world.visit()
        visit.__enter__()
        self.addCleanup(visit.__exit__, None, None, None)

    def tearDown(self):
        super().tearDown()
        self.assertEqual(self.world.in_host("nft", "list", "tables"), "")
        links = self.world.in_host("ip", "-o", "link").splitlines()
        self.assertEqual(sorted(line.split(": ")[1].split("@")[0] for line in links), ["lo", "up0"])

    def start(self, *settings, allowed="outbound,allow-list"):
        settings = [f"network.allowed={allowed}", f"network.dns={netns.DNS}", *settings]
        return self.daemon(args=[word for each in settings for word in ("--set", each)])

    def deploy(self, d, name="me/app"):
        d.deploy(self.folder({"README.md": "---\nsdk: gradio\n---\n", "app.py": APP}), name)

    def ask(self, d, api, *data, name="me/app"):
        event, values = d.call(name, api, list(data))
        self.assertEqual(event, "complete", values)
        return values[0]

    def reach(self, d, *where, name="me/app"):
        return table(self.ask(d, "reach", " ".join(where), name=name))

    def resolve(self, d, *names, name="me/app"):
        return table(self.ask(d, "resolve", " ".join(names), name=name))

    def choose(self, d, mode, *allow, name="me/app"):
        """Chooses, and waits for the one that starts with it."""
        before = self.ask(d, "born", name=name)
        reply = d.post(f"/api/spaces/{name}/network", {"mode": mode, "allow": list(allow)})
        self.assertEqual(reply.status, 202, reply.body)
        self.assertEqual(reply.json["network"], {"mode": mode, "allow": list(allow)})
        harness.wait_for("the Space to run anew", lambda: d.runtime(name)["stage"] == "RUNNING")
        self.assertNotEqual(self.ask(d, "born", name=name), before, "it is still the one that ran before")

    def assert_closed(self, said):
        self.assertTrue(said)
        self.assertEqual({k: v for k, v in said.items() if not v.startswith("no:")}, {})


class Modes(Case):
    def test_a_space_has_no_network_until_its_owner_chooses_one(self):
        d = self.start()
        self.deploy(d)
        self.assertEqual(d.runtime("me/app")["network"], {"mode": "none", "allow": []})
        self.assert_closed(self.reach(d, WEB, *INSIDE))
        self.assert_closed(self.resolve(d, "public.test"))

        self.choose(d, "outbound")
        said = self.reach(d, WEB, "public.test/80", *INSIDE)
        self.assertEqual((said.pop(WEB), said.pop("public.test/80")), (HELLO, HELLO))
        self.assert_closed(said)
        self.assert_closed(self.resolve(d, "private.test", "metadata.test", "nowhere.test"))

        self.choose(d, "none")
        self.assert_closed(self.reach(d, WEB))

    def test_an_allow_list_reaches_its_names_and_nothing_else(self):
        d = self.start()
        self.deploy(d)
        self.choose(d, "allow-list", "*.second.test")
        self.assert_closed(self.reach(d, WEB, WEB_2, *INSIDE))  # nothing has been asked for
        said = self.reach(d, "sub.second.test/80")
        self.assertEqual(said["sub.second.test/80"], HELLO)
        self.assertEqual(self.reach(d, WEB_2)[WEB_2], HELLO)
        self.assert_closed(self.reach(d, WEB, "public.test/80", "second.test/80", *INSIDE))
        # Another list is another life: what was open is closed.
        self.choose(d, "allow-list", "public.test")
        self.assertEqual(self.reach(d, "public.test/80")["public.test/80"], HELLO)
        self.assert_closed(self.reach(d, WEB_2, "sub.second.test/80"))

    def test_two_spaces_have_their_own_networks_and_do_not_see_each_other(self):
        d = self.start()
        self.deploy(d)
        self.deploy(d, "me/other")
        self.choose(d, "outbound")
        self.assertEqual(self.reach(d, WEB)[WEB], HELLO)
        self.assert_closed(self.reach(d, WEB, name="me/other"))
        self.choose(d, "outbound", name="me/other")
        ruleset = self.world.in_host("nft", "list", "ruleset")
        self.assertIn("10.208.0.2", ruleset)
        self.assertEqual(self.reach(d, WEB, name="me/other")[WEB], HELLO)
        near = [f"10.208.0.{i}/{port}" for i in range(2, 6) for port in (80, 7860)]
        self.assert_closed(self.reach(d, *near))

    def test_the_choice_is_kept_over_a_restart_of_the_daemon(self):
        d = self.start()
        self.deploy(d)
        self.choose(d, "outbound")
        d.stop()
        d.start()
        harness.wait_for("the Space to run", lambda: d.runtime("me/app")["stage"] == "RUNNING")
        self.assertEqual(self.reach(d, WEB)[WEB], HELLO)
        self.assertIn("has network none", d.cli("network", "me/app", "none").stdout)

    def test_outbound_spaces_are_told_of_the_sites_proxy_and_others_are_not(self):
        d = self.start("network.proxy=http://10.9.9.9:80")
        self.deploy(d)
        self.assertEqual(self.ask(d, "told"), "")
        self.choose(d, "outbound")
        self.assertEqual(self.ask(d, "told"), "http://10.9.9.9:80")
        said = self.reach(d, "10.9.9.9/80", "192.168.7.7/80")
        self.assertEqual(said.pop("10.9.9.9/80"), HELLO)
        self.assert_closed(said)
        self.choose(d, "allow-list", "public.test")
        self.assertEqual(self.ask(d, "told"), "")
        self.assert_closed(self.reach(d, "10.9.9.9/80"))


class Refusals(Case):
    def wait_for_reason(self, d, text):
        harness.wait_for("the reason", lambda: text in (d.runtime("me/app")["reason"] or ""))

    def test_a_mode_that_is_no_longer_allowed_is_the_reason_why_the_space_does_not_start(self):
        d = self.start()
        self.deploy(d)
        self.choose(d, "outbound")
        d.stop()
        d.args = ["--set", "network.allowed=allow-list", "--set", f"network.dns={netns.DNS}"]
        d.start()
        self.wait_for_reason(d, FORBIDDEN)
        self.assertEqual(d.post("/api/spaces/me/app/network", {"mode": "outbound"}).json["error"], FORBIDDEN)
        self.assertEqual(d.post("/api/spaces/me/app/network", {"mode": "none"}).status, 202)
        harness.wait_for("the Space to run", lambda: d.runtime("me/app")["stage"] == "RUNNING")

    def test_a_host_that_can_have_no_network_says_why_and_runs_the_others(self):
        self.world.in_host("ip", "route", "del", "default")
        d = self.start()
        d.expected_errors.append("network")
        self.deploy(d)
        self.assertEqual(d.post("/api/spaces/me/app/network", {"mode": "outbound"}).status, 202)
        self.wait_for_reason(d, "this host has no network for Spaces: the host has no default route")
        self.assertEqual(d.post("/api/spaces/me/app/network", {"mode": "none"}).status, 202)
        harness.wait_for("the Space to run", lambda: d.runtime("me/app")["stage"] == "RUNNING")


if __name__ == "__main__":
    unittest.main()
