"""From a join to a result, over Gradio's SSE protocol, by two visitors."""

import threading
import urllib.parse

import harness

ECHO, SLOW, GEN, BOOM, PROG, COUNT, FIL, DIRECT = range(8)


class Queue(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.d.deploy("kitchen", "me/kitchen")

    def run_one(self, fn, data, session):
        reply = self.d.join("me/kitchen", fn, data, session)
        self.assertEqual(reply.status, 200, reply.body)
        event = reply.json["event_id"]
        return self.d.stream("me/kitchen", session).until("process_completed", event)

    def test_a_visitor_gets_an_estimate_a_start_and_the_result(self):
        seen = self.run_one(ECHO, ["hello"], "s1")
        self.assertEqual([m["msg"] for m in seen], ["estimation", "process_starts", "process_completed"])
        self.assertEqual(seen[0]["rank"], 0)
        self.assertEqual(seen[0]["queue_size"], 1)
        self.assertEqual(seen[-1]["output"]["data"], ["hello"])
        self.assertTrue(seen[-1]["success"])

    def test_the_stream_ends_with_close_stream_when_nothing_is_left(self):
        self.d.join("me/kitchen", ECHO, ["x"], "s2")
        kinds = [m["msg"] for m in self.d.stream("me/kitchen", "s2").messages()]
        self.assertEqual(kinds[-1], "close_stream")

    def test_a_second_visitor_waits_in_line_and_is_told_the_rank(self):
        self.d.join("me/kitchen", SLOW, [1.0], "first")
        first = self.d.stream("me/kitchen", "first")
        first.until("process_starts")
        second_id = self.d.join("me/kitchen", SLOW, [0.1], "second").json["event_id"]
        second = self.d.stream("me/kitchen", "second").until("process_completed", second_id)
        estimates = [m for m in second if m["msg"] == "estimation"]
        self.assertEqual((estimates[0]["rank"], estimates[0]["queue_size"]), (0, 1))
        self.assertEqual(second[-1]["output"]["data"], ["slept 0.1"])

    def test_a_generator_streams_diffs_and_completes_with_the_whole_text(self):
        seen = self.run_one(GEN, [3], "s3")
        generating = [m["output"]["data"][0] for m in seen if m["msg"] == "process_generating"]
        self.assertEqual(generating[0], "abc0 ")
        self.assertEqual(generating[1], [["append", [], "abc1 "]])
        self.assertEqual(seen[-1]["output"]["data"], ["abc0 abc1 abc2 "])

    def test_an_exception_shows_as_an_error_and_nothing_hangs(self):
        seen = self.run_one(BOOM, ["x"], "s4")
        self.assertFalse(seen[-1]["success"])
        self.assertEqual(seen[-1]["output"]["error"], "boom: x")
        self.assertEqual(self.run_one(ECHO, ["after"], "s4")[-1]["output"]["data"], ["after"])

    def test_progress_and_toasts_reach_the_visitor(self):
        seen = self.run_one(PROG, ["x"], "s5")
        steps = [m["progress_data"][0]["index"] for m in seen if m["msg"] == "progress"]
        self.assertIn(2, steps)
        toasts = [m for m in seen if m["msg"] == "log"]
        self.assertEqual((toasts[0]["log"], toasts[0]["level"]), ("note", "info"))

    def test_state_is_kept_per_session_and_never_travels(self):
        first = self.run_one(COUNT, ["a", None], "s6")[-1]["output"]["data"]
        second = self.run_one(COUNT, ["a", None], "s6")[-1]["output"]["data"]
        other = self.run_one(COUNT, ["a", None], "s7")[-1]["output"]["data"]
        self.assertEqual((first, second, other), (["a #1", None], ["a #2", None], ["a #1", None]))

    def test_state_outlives_a_worker_that_dies(self):
        self.run_one(COUNT, ["a", None], "s8")
        self.d.call("me/kitchen", "die", ["x"])
        self.assertEqual(self.run_one(COUNT, ["a", None], "s8")[-1]["output"]["data"], ["a #2", None])

    def test_a_call_that_ignores_its_cancel_costs_the_worker_but_not_the_state_nor_the_space(self):
        self.run_one(COUNT, ["a", None], "s9")
        for _ in range(3):
            event = self.d.join("me/kitchen", SLOW, [600], "s9").json["event_id"]
            stream = self.d.stream("me/kitchen", "s9")
            stream.until("process_starts", event)
            self.d.post("/app/me/kitchen/gradio_api/cancel",
                        {"event_id": event, "session_hash": "s9", "fn_index": SLOW}, token=None)
            stream.until("process_completed", event)
            harness.wait_for("the slot to be free", lambda: self.d.get("/api/spaces/me/kitchen/queue").json["running"] == 0)
        self.assertEqual(self.run_one(COUNT, ["a", None], "s9")[-1]["output"]["data"], ["a #2", None])
        self.assertEqual(self.d.runtime("me/kitchen")["stage"], "RUNNING")

    def test_a_waiting_event_is_cancelled_at_once(self):
        self.d.join("me/kitchen", SLOW, [2], "holder")
        self.d.stream("me/kitchen", "holder").until("process_starts")
        event = self.d.join("me/kitchen", SLOW, [2], "c").json["event_id"]
        stream = self.d.stream("me/kitchen", "c")
        stream.until("estimation", event)
        reply = self.d.post("/app/me/kitchen/gradio_api/cancel",
                            {"event_id": event, "session_hash": "c", "fn_index": SLOW}, token=None)
        self.assertEqual(reply.json, {"success": True})
        done = stream.until("process_completed", event)[-1]
        self.assertEqual((done["success"], done["output"]["data"]), (True, [None]))

    def test_a_running_loop_is_really_stopped_by_cancel(self):
        event = self.d.join("me/kitchen", 9, ["x"], "spin").json["event_id"]
        stream = self.d.stream("me/kitchen", "spin")
        stream.until("process_starts", event)
        self.d.post("/app/me/kitchen/gradio_api/cancel",
                    {"event_id": event, "session_hash": "spin", "fn_index": 9}, token=None)
        stream.until("process_completed", event)
        harness.wait_for("the slot to be free", lambda: self.d.get("/api/spaces/me/kitchen/queue").json["running"] == 0)

    def test_a_full_queue_refuses_with_gradios_words(self):
        self.d.join("me/kitchen", SLOW, [3], "q")
        self.d.stream("me/kitchen", "q").until("process_starts")
        answers = [self.d.join("me/kitchen", SLOW, [3], "q") for _ in range(31)]
        self.assertEqual([a.status for a in answers[:30]], [200] * 30)
        self.assertEqual(answers[30].status, 503)
        self.assertEqual(answers[30].json["detail"], "Queue is full. Max size is 30 and size is 30.")

    def test_a_visitor_who_leaves_frees_the_place_after_the_grace(self):
        d = self.daemon(args=["--set", "queue.grace=1s"])
        d.deploy("kitchen", "me/kitchen")
        d.join("me/kitchen", SLOW, [4], "stays")
        stays = d.stream("me/kitchen", "stays")
        stays.until("process_starts")
        d.join("me/kitchen", SLOW, [4], "leaves")
        leaves = d.stream("me/kitchen", "leaves")
        leaves.until("estimation")
        leaves.close()
        harness.wait_for("the place to be free", lambda: d.get("/api/spaces/me/kitchen/queue").json["waiting"] == 0, 10)
        self.assertEqual(stays.until("process_completed")[-1]["output"]["data"], ["slept 4"])

    def test_call_and_run_answer_without_a_stream_of_their_own(self):
        self.assertEqual(self.d.call("me/kitchen", "echo", ["hi"]), ("complete", ["hi"]))
        self.assertEqual(self.d.call("me/kitchen", "gen", [2]), ("complete", ["abc0 abc1 "]))
        self.assertEqual(self.d.call("me/kitchen", "boom", ["x"])[0], "error")
        reply = self.d.post("/app/me/kitchen/gradio_api/run/direct", {"data": ["d"], "fn_index": DIRECT}, token=None)
        self.assertEqual((reply.status, reply.json["data"]), (200, ["d"]))

    def test_every_path_answers_with_and_without_the_prefix(self):
        for prefix in ("", "/gradio_api"):
            self.assertEqual(self.d.get(f"/app/me/kitchen{prefix}/info", token=None).status, 200, prefix)
            self.assertEqual(self.d.get(f"/app/me/kitchen{prefix}/queue/status", token=None).status, 200, prefix)
        self.assertEqual(self.d.get("/app/me/kitchen/config", token=None).json["protocol"], "sse_v3")

    def test_an_uploaded_file_goes_through_the_app_and_back(self):
        boundary = "xyz"
        body = (f"--{boundary}\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a b.txt\"\r\n"
                f"Content-Type: text/plain\r\n\r\nhello file\r\n--{boundary}--\r\n").encode()
        reply = self.d.request("POST", "/app/me/kitchen/gradio_api/upload", body, token=None,
                               headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
        self.assertEqual(reply.status, 200, reply.body)
        path = reply.json[0]
        seen = self.run_one(FIL, [{"path": path, "meta": {"_type": "gradio.FileData"}}], "f")
        result = seen[-1]["output"]["data"][0]
        got = self.d.get(f"/app/me/kitchen/gradio_api/file={urllib.parse.quote(result['path'])}", token=None)
        self.assertEqual((got.status, got.body), (200, b"hello file"))
        self.assertEqual(got.headers.get("X-Content-Type-Options"), "nosniff")
        self.assertIn("sandbox", got.headers.get("Content-Security-Policy", ""))
        part = self.d.request("GET", f"/app/me/kitchen/file={urllib.parse.quote(result['path'])}", token=None, headers={"Range": "bytes=1-2"})
        self.assertEqual((part.status, part.body), (206, b"el"))

    def test_ten_visitors_at_once_all_get_their_own_answer(self):
        results = {}

        def visit(i):
            results[i] = self.run_one(ECHO, [f"v{i}"], f"many{i}")[-1]["output"]["data"]

        threads = [threading.Thread(target=visit, args=(i,)) for i in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(harness.DEADLINE_S)
        self.assertEqual(results, {i: [f"v{i}"] for i in range(10)})
