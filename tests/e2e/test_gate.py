"""Who may ask what, by address: wrong tokens, metrics, doctor."""

import unittest

import harness


class Gate(harness.Case):
    def as_peer(self, d, path, peer, token=None, method="GET", body=None):
        return d.request(method, path, body, token=token, headers={"X-Forwarded-For": peer})

    def test_metrics_and_doctor_are_for_operators_and_for_this_host(self):
        d = self.daemon(args=["--set", "trusted_proxies=127.0.0.1"])
        user = d.user("me")
        for path in ("/metrics", "/api/doctor"):
            with self.subTest(path):
                self.assertEqual(d.get(path, token=None).status, 200)
                for peer in ("192.0.2.7", "127.0.0.1"):  # a proxy that says local means itself
                    self.assertEqual(self.as_peer(d, path, peer).status, 401)
                    self.assertEqual(self.as_peer(d, path, peer, token=user).status, 403)
                    self.assertEqual(self.as_peer(d, path, peer, token=d.token).status, 200)
        self.assertEqual(self.as_peer(d, "/healthz", "192.0.2.7").status, 200)

    def test_an_untrusted_proxy_on_this_host_is_not_this_host(self):
        d = self.daemon()
        for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
            self.assertEqual(d.request("GET", "/metrics", token=None, headers={header: "x"}).status, 401, header)

    def test_monitor_access_can_be_closed_and_opened(self):
        closed = self.daemon(args=["--set", "monitor.access=operators"])
        self.assertEqual(closed.get("/metrics", token=None).status, 401)
        self.assertEqual(closed.get("/metrics").status, 200)
        opened = self.daemon(args=["--set", "monitor.access=anyone", "--set", "trusted_proxies=127.0.0.1"])
        self.assertEqual(self.as_peer(opened, "/metrics", "192.0.2.7").status, 200)

    def test_wrong_tokens_above_login_tries_are_refused_by_address(self):
        d = self.daemon(args=["--set", "login.tries=3", "--set", "trusted_proxies=127.0.0.1"])

        def login(peer, token):
            return self.as_peer(d, "/api/login", peer, method="POST", body={"token": token})
        for _ in range(5):  # right ones do not count
            self.assertEqual(login("192.0.2.7", d.token).status, 200)
        self.assertEqual([login("192.0.2.7", "sp_wrong").status for _ in range(4)], [401, 401, 401, 429])
        refused = login("192.0.2.7", d.token)
        self.assertEqual(refused.status, 429)
        self.assertIn("login.tries", refused.json["error"])
        self.assertLessEqual(int(refused.headers["Retry-After"]), 60)
        self.assertEqual(login("192.0.2.8", d.token).status, 200)
        self.assertEqual(self.as_peer(d, "/api/spaces", "192.0.2.7", token="sp_wrong").status, 429)
        self.assertEqual(self.as_peer(d, "/api/spaces", "192.0.2.7", token=d.token).status, 200)
        wrong = [self.as_peer(d, "/api/spaces", "2001:db8::%x" % n, token="sp_wrong").status for n in range(4)]
        self.assertEqual(wrong, [401, 401, 401, 429])  # one /64


if __name__ == "__main__":
    unittest.main()
