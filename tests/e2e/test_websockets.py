"""The legacy WebSocket of Gradio 3 and the page's own live protocol, frame by frame."""

import harness
import raw


class Legacy(harness.Case):
    """The order and the fields of the recorded traffic of a Gradio 3.20.1 server."""

    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.d.deploy("kitchen", "me/kitchen")

    def replay(self, fn, data, session="hsess000001"):
        ws = raw.WebSocket(self.d, "/app/me/kitchen/queue/join")
        self.assertEqual(ws.status, 101)
        seen = []
        while True:
            message = ws.receive()
            if message is None:
                break
            seen.append(message)
            if message["msg"] == "send_hash":
                ws.send({"session_hash": session, "fn_index": fn})
            elif message["msg"] == "send_data":
                ws.send({"data": data, "event_data": None, "fn_index": fn, "session_hash": session})
        self.assertEqual(ws.close_code, 1000)
        ws.close()
        return seen

    def test_echo_runs_in_the_recorded_order(self):
        seen = self.replay(0, ["hello"])
        self.assertEqual([m["msg"] for m in seen],
                         ["send_hash", "estimation", "send_data", "process_starts", "process_completed"])
        self.assertEqual(set(seen[1]), {"msg", "rank", "queue_size", "avg_event_process_time",
                                        "avg_event_concurrent_process_time", "rank_eta", "queue_eta"})
        self.assertEqual((seen[1]["rank"], seen[1]["queue_size"]), (0, 1))
        output = seen[-1]["output"]
        self.assertEqual((output["data"], output["is_generating"], seen[-1]["success"]), (["hello"], False, True))

    def test_a_generator_sends_whole_values(self):
        seen = self.replay(2, [3])
        data = [m["output"]["data"] for m in seen if m["msg"] == "process_generating"]
        self.assertEqual(data[0], ["abc0 "])
        self.assertTrue(all(isinstance(d[0], str) for d in data))
        self.assertEqual(seen[-1]["output"]["data"], ["abc0 abc1 abc2 "])

    def test_an_error_and_progress_look_as_recorded(self):
        seen = self.replay(3, ["x"])
        self.assertEqual((seen[-1]["success"], seen[-1]["output"]["error"]), (False, "boom: x"))
        seen = self.replay(4, ["x"])
        steps = [m["progress_data"][0] for m in seen if m["msg"] == "progress"]
        self.assertEqual(set(steps[0]), {"index", "length", "unit", "progress", "desc"})

    def test_state_is_kept_by_session(self):
        self.assertEqual(self.replay(5, ["a", None])[-1]["output"]["data"], ["a #1", None])
        self.assertEqual(self.replay(5, ["a", None])[-1]["output"]["data"], ["a #2", None])


class Live(harness.Case):
    @classmethod
    def setUpClass(cls):
        harness.needs_root()

    def setUp(self):
        super().setUp()
        self.d = self.daemon()
        self.d.deploy("kitchen", "me/kitchen")

    def connect(self, resume=None):
        ws = raw.WebSocket(self.d, "/app/me/kitchen/live")
        self.assertEqual(ws.status, 101)
        ws.send({"type": "hello", "v": 1, "resume": resume})
        return ws, ws.until("hello")[-1]

    def test_a_lost_connection_comes_back_to_its_place_and_its_result(self):
        holder, _ = self.connect()
        holder.send({"type": "join", "ref": "h", "fn": 1, "data": [1.5], "event_data": None, "trigger_id": None})
        holder.until("process_starts")
        ws, hello = self.connect()
        ws.send({"type": "join", "ref": "a", "fn": 1, "data": [0.1], "event_data": None, "trigger_id": None})
        seen = ws.until("estimation")
        event = next(m["event_id"] for m in seen if m["msg"] == "joined")
        last = max(m.get("seq", 0) for m in seen)
        ws.close()
        ws, again = self.connect({"session": hello["session"], "secret": hello["secret"], "epoch": hello["epoch"],
                                  "last_seq": last})
        self.assertTrue(again["resumed"])
        done = ws.until("process_completed")[-1]
        self.assertEqual((done["event_id"], done["output"]["data"]), (event, ["slept 0.1"]))
        ws.close()
        holder.close()

    def test_a_wrong_secret_gives_a_new_session_and_shows_nothing(self):
        _, hello = self.connect()
        ws = raw.WebSocket(self.d, "/app/me/kitchen/live")
        ws.send({"type": "hello", "v": 1, "resume": {"session": hello["session"], "secret": "0" * 32,
                                                     "epoch": hello["epoch"], "last_seq": 0}})
        answer = ws.receive()
        self.assertTrue(answer is None and ws.close_code == 1008 or not answer["resumed"])
        ws.close()

    def test_the_same_ref_twice_is_one_event(self):
        ws, _ = self.connect()
        join = {"type": "join", "ref": "same", "fn": 0, "data": ["x"], "event_data": None, "trigger_id": None}
        ws.send(join)
        ws.send(join)
        joined = [m["event_id"] for m in ws.until("process_completed") if m["msg"] == "joined"]
        ws.send({"type": "ping"})
        joined += [m["event_id"] for m in ws.until("pong") if m["msg"] == "joined"]
        self.assertEqual(len(set(joined)), 1)
        ws.close()

    def test_numbers_go_up_by_one(self):
        ws, _ = self.connect()
        ws.send({"type": "join", "ref": "g", "fn": 2, "data": [3], "event_data": None, "trigger_id": None})
        numbers = [m["seq"] for m in ws.until("process_completed")]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        ws.close()
