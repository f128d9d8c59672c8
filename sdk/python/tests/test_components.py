"""What each component makes of values, and the documents that clients read."""

import json
import shutil
import subprocess
import unittest

from harness import WorkerTest

APP = '''
import gradio as gr, asyncio, time, functools
from gradio import Blocks as B
def same(x): return x
def kind(x): return repr(x)
def label(x): return {"cat": 0.2, "dog": 0.7, "fish": 0.1}
def md(x): return """
    # Title
      indented
    """
def who(x, request: gr.Request, progress=gr.Progress()):
    return "|".join([x, request.client.host, request.headers["User-Agent"], request.headers.user_agent,
                     str(request.username), request.session_hash, request.query_params["q"],
                     request.cookies["a"]])
def select(x, event: gr.SelectData): return "%s %s %s" % (event.index, event.value, event.target.label)
def bars(x, progress=gr.Progress()):
    for a in progress.tqdm(range(2), desc="outer"):
        for b in progress.tqdm([1, 2, 3], desc="inner", unit="things"):
            time.sleep(0.03)
    progress((3, 4), desc="nearly")
    return "done"
def toast(x):
    gr.Info("i"); gr.Warning("w", duration=None, title="T"); gr.Success("s", visible=False)
async def atoast(x, progress=gr.Progress()):
    gr.Info("from async"); progress(0.5)
    await asyncio.sleep(0.001)
    return x
def skipping(x): return gr.skip(), "second"
def skip_all(x): return gr.skip()
def updating(x): return gr.update(label="new", value=5), gr.Textbox("v", lines=3)
def by_block(x): return {second: "only this"}
def as_set(data): return data[first] + data[second]
def defaults(a, b="B", *, c="C"): return a + b + c
def layout(x): return gr.Row(visible=False)
class Callable:
    def __call__(self, x): return "called " + x
def ask(): return "asked"
def set_queue(x): return x
with B(title="All") as demo:
    gr.Markdown("# Hi")
    with gr.Tabs():
        with gr.Tab("One", id="one"):
            with gr.Row() as row:
                first = gr.Textbox(label="First", info="some info", lines=2)
                second = gr.Textbox(label="Second", value=ask)
        with gr.TabItem("Two"):
            number = gr.Number(label="N", value=3, precision=0, minimum=0, maximum=9)
            slider = gr.Slider(1, 10, 5, label="S", step=0.5)
            box = gr.Checkbox(label="C")
            with gr.Accordion("More", open=False), gr.Group(), gr.Column(scale=2):
                radio = gr.Radio([("One", 1), ("Two", 2)], label="R", value=1)
                index = gr.Radio(["a", "b"], type="index")
                down = gr.Dropdown(["x", "y"], label="D")
                multi = gr.Dropdown(["x", "y"], multiselect=True, max_choices=2)
                free = gr.Dropdown(["x"], allow_custom_value=True, value=None)
                group = gr.CheckboxGroup(["p", "q"])
    lab, js, mk, html = gr.Label(num_top_classes=2), gr.JSON(), gr.Markdown(), gr.HTML("<b>x</b>")
    state = gr.State([])
    go = gr.Button("Go", variant="primary", elem_id="go")
    for block, name in ((number, "number"), (slider, "slider"), (box, "checkbox"), (radio, "radio"),
                        (index, "index"), (down, "down"), (multi, "multi"), (free, "free"),
                        (group, "group"), (js, "json"), (first, "textbox")):
        go.click(same, block, block if name != "index" else js, api_name=name)
    go.click(kind, number, first)
    go.click(label, first, lab)
    go.click(md, first, mk)
    go.click(who, first, second)
    down.select(select, first, second)
    go.click(bars, first, second)
    go.click(toast, first, None)
    go.click(atoast, first, second)
    go.click(skipping, first, [first, second])
    go.click(skip_all, first, [first, second])
    go.click(updating, first, [number, second])
    go.click(by_block, first, [first, second])
    go.click(as_set, {first, second}, second)
    go.click(defaults, first, second)
    go.click(layout, first, row)
    go.click(Callable(), first, second)
    go.click(functools.partial(defaults, "P"), first, second, api_name="partial")
    go.click(same, first, second)                               # same_1
    go.click(lambda x: x, first, second)
    go.click(len, first, number)
    one = go.click(same, first, second, api_name="chained", concurrency_id="gpu", concurrency_limit=3)
    one.then(same, first, second, api_name=False, concurrency_id="gpu", concurrency_limit=2).success(
        set_queue, first, second, queue=False, api_visibility="undocumented", trigger_mode="multiple")
    go.click(None, cancels=one)
    first.change(same, first, second, api_name=False, show_progress="minimal", concurrency_limit=None)
    gr.on([first.submit, go.click], same, first, second, api_name="on")
    demo.load(ask, None, first)
    @go.click(inputs=first, outputs=second)
    def decorated(x): return "decorated " + x
demo.queue(max_size=7, default_concurrency_limit=4)
demo.launch(max_threads=11)
'''


class Values(WorkerTest):
    APP = APP

    def both(self, name, value, expected):
        self.assertEqual(self.worker.value(name, value), [expected])

    def refused(self, name, value, words):
        end = self.worker.run(name, value)
        self.assertEqual(end["type"], "error", end)
        self.assertIn(words, end["error"])

    def test_numbers(self):
        self.both("number", 3.7, 4)
        self.both("number", None, None)
        self.refused("number", 10, "greater than maximum value 9")
        self.refused("number", -1, "less than minimum value 0")
        self.refused("number", "3", "is not a number")
        self.refused("number", True, "is not a number")
        self.both("kind", 3, "3")
        self.both("slider", 2.5, 2.5)
        self.both("slider", None, 1)
        self.refused("slider", 11, "greater than")
        self.both("checkbox", True, True)

    def test_choices(self):
        self.both("radio", 2, 2)
        self.both("radio", None, None)
        self.refused("radio", 3, "not in the list of choices")
        self.refused("radio", ["x"], "not in the list of choices")
        self.both("index", "b", 1)
        self.both("down", "y", "y")
        self.both("multi", ["y", "x"], ["y", "x"])
        self.both("multi", None, [])
        self.refused("multi", ["x", "y", "x"], "At most 2")
        self.refused("multi", ["x", "z"], "not in the list")
        self.both("free", "anything", "anything")
        self.both("group", ["q"], ["q"])
        self.refused("group", ["z"], "not in the list")

    def test_text_and_data(self):
        self.both("textbox", 5, "5")
        self.both("json", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]})
        self.both("md", "", "# Title\n  indented")
        confidences = [{"label": "dog", "confidence": 0.7}, {"label": "cat", "confidence": 0.2}]
        self.both("label", "", {"label": "dog", "confidences": confidences})
        self.both("decorated", "x", "decorated x")
        self.both("Callable", "x", "called x")
        self.both("partial", "x", "PxC")
        self.both("defaults", "a", "aBC")
        self.both("len", "four", 4)

    def test_deep_values_are_refused_before_the_daemon_sees_them(self):
        def nested(depth):
            return json.loads("[" * depth + "]" * depth)

        self.both("json", nested(57), nested(57))
        self.refused("json", nested(59), "nested deeper than")
        self.both("json", [[]] * 500, [[]] * 500)

    def test_request_is_given_to_who_asks(self):
        request = {
            "headers": {"user-agent": "test", "cookie": "a=1; b=2"},
            "query": {"q": "v"},
            "client": {"host": "10.9.9.9"},
            "username": "ada",
        }
        value = self.worker.value("who", "x", request=request, session="s9")
        self.assertEqual(value, ["x|10.9.9.9|test|test|ada|s9|v|1"])

    def test_event_data_is_given_to_who_asks(self):
        down = [
            c["id"] for c in self.worker.config["components"] if c["props"].get("label") == "D"
        ][0]
        event = {"index": 1, "value": "y", "selected": True}
        value = self.worker.value("select", "x", event_data=event, trigger=down)
        self.assertEqual(value, ["1 y D"])

    def test_progress_of_loops_in_loops(self):
        messages = self.worker.messages(self.worker.call("bars", "x"))
        seen = [m["progress_data"] for m in messages if m["type"] == "progress"]
        self.assertEqual(set(seen[0][0]), {"index", "length", "unit", "progress", "desc"})
        self.assertEqual(seen[0][0]["desc"], "outer")
        self.assertIn(2, {len(levels) for levels in seen})
        inner = [levels[1] for levels in seen if len(levels) == 2][-1]
        self.assertEqual((inner["desc"], inner["length"], inner["unit"]), ("inner", 3, "things"))
        self.assertEqual((seen[-1][0]["index"], seen[-1][0]["length"]), (3, 4))
        self.assertEqual(messages[-1]["type"], "return")

    def test_progress_is_at_most_twenty_per_second(self):
        import time

        begin = time.monotonic()
        messages = self.worker.messages(self.worker.call("bars", "x"))
        took = time.monotonic() - begin
        self.assertLessEqual(sum(m["type"] == "progress" for m in messages), took / 0.05 + 2)

    def test_toasts_belong_to_their_request(self):
        messages = self.worker.messages(self.worker.call("toast", "x"))
        logs = [
            (m["level"], m["log"], m["title"], m["duration"], m["visible"]) for m in messages[:-1]
        ]
        self.assertEqual(
            logs,
            [
                ("info", "i", "Info", 10, True),
                ("warning", "w", "T", None, True),
                ("success", "s", "Success", 10, False),
            ],
        )
        self.assertEqual(messages[-1]["data"], [])
        messages = self.worker.messages(self.worker.call("atoast", "x"))
        self.assertEqual([m["type"] for m in messages], ["log", "progress", "return"])

    def test_updates_and_skips(self):
        nothing = {"__type__": "update"}
        self.assertEqual(self.worker.value("skipping", ""), [nothing, "second"])
        self.assertEqual(self.worker.value("skip_all", ""), [nothing, nothing])
        self.assertEqual(self.worker.value("by_block", ""), [nothing, "only this"])
        self.assertEqual(
            self.worker.value("updating", ""),
            [
                {"__type__": "update", "label": "new", "value": 5},
                {"__type__": "update", "value": "v", "lines": 3},
            ],
        )
        self.assertEqual(
            self.worker.value("layout", ""), [{"__type__": "update", "visible": False}]
        )
        self.assertEqual(self.worker.value("as_set", "a", "b"), ["ab"])


class Documents(WorkerTest):
    APP = APP

    def dependency(self, name):
        return [d for d in self.worker.config["dependencies"] if d["api_name"] == name][0]

    def function(self, name):
        return [f for f in self.worker.functions if f["api_name"] == name][0]

    def test_names_are_unique_as_in_gradio(self):
        names = [f["api_name"] for f in self.worker.functions if f["api_name"]]
        self.assertEqual(len(names), len(set(names)))
        for name in ("same", "lambda", "len", "decorated", "chained", "on"):
            self.assertIn(name, names)

    def test_groups_and_limits(self):
        chained = self.function("chained")
        others = [f for f in self.worker.functions if f["group"] == chained["group"]]
        self.assertEqual([f["limit"] for f in others], [2, 2])  # the lowest wins
        self.assertEqual(self.function("bars")["limit"], 4)
        # One function object is one group, and what has no limit does not raise that of the others.
        same = self.function("number")
        self.assertEqual((same["limit"], same["group"]), (4, self.function("slider")["group"]))
        self.assertEqual((self.worker.first["max_size"], self.worker.first["max_threads"]), (7, 11))

    def test_chain(self):
        dependencies = self.worker.config["dependencies"]
        chained = self.dependency("chained")["id"]
        then = [d for d in dependencies if d["trigger_after"] == chained][0]
        self.assertEqual((then["api_name"], then["api_visibility"]), (None, "private"))
        success = self.dependency("set_queue")
        self.assertEqual(success["trigger_after"], then["id"])
        self.assertTrue(success["trigger_only_on_success"])
        self.assertEqual((success["queue"], success["trigger_mode"]), (False, "multiple"))
        self.assertEqual(self.function("set_queue")["api_visibility"], "undocumented")

    def test_cancelling_dependency_has_no_function(self):
        chained = self.dependency("chained")["id"]
        stop = [d for d in self.worker.config["dependencies"] if d["cancels"] == [chained]][0]
        self.assertEqual((stop["backend_fn"], stop["types"]["cancel"]), (False, True))

    def test_targets(self):
        on = self.dependency("on")["targets"]
        self.assertEqual([name for _, name in on], ["submit", "click"])
        load = self.dependency("ask")
        self.assertEqual(load["targets"], [[self.worker.config["layout"]["id"], "load"]])
        change = [d for d in self.worker.config["dependencies"] if d["targets"][0][1] == "change"][
            0
        ]
        self.assertEqual(change["trigger_mode"], "always_last")

    def test_value_that_is_a_function_is_asked_at_load(self):
        load = [f for f in self.worker.functions if not f["queue"] and f["backend"]][-1]
        self.assertEqual(self.worker.value(load["fn"]), ["asked"])

    def test_every_id_is_known_and_layout_has_each_once(self):
        config = self.worker.config
        ids = [c["id"] for c in config["components"]]
        self.assertEqual(len(ids), len(set(ids)))
        for dependency in config["dependencies"]:
            for block in dependency["inputs"] + dependency["outputs"]:
                self.assertIn(block, ids)
        found = []

        def walk(node):
            for child in node.get("children", ()):
                found.append(child["id"])
                walk(child)

        walk(config["layout"])
        self.assertEqual(sorted(found), sorted(ids))
        self.assertEqual(config["page"][""]["components"], sorted(ids))

    def test_text_boxes_side_by_side_share_a_form(self):
        by_id = {c["id"]: c for c in self.worker.config["components"]}
        first = [c["id"] for c in by_id.values() if c["props"].get("label") == "First"][0]

        def parent(node):
            for child in node.get("children", ()):
                found = node["id"] if child["id"] == first else parent(child)
                if found is not None:
                    return found

        form = by_id[parent(self.worker.config["layout"])]
        self.assertEqual(form["type"], "form")
        self.assertEqual((form["props"]["scale"], form["props"]["min_width"]), (2, 320))
        others = [
            c["props"] for c in by_id.values() if c["type"] == "form" and c["id"] != form["id"]
        ]
        self.assertEqual({(p["scale"], p["min_width"]) for p in others}, {(0, 0)})

    def test_info_has_parameters_without_state_and_with_defaults(self):
        named = self.worker.info["named_endpoints"]
        self.assertNotIn("/set_queue", named)
        number = named["/kind"]["parameters"][0]
        self.assertEqual(
            (
                number["label"],
                number["parameter_name"],
                number["parameter_has_default"],
                number["parameter_default"],
                number["type"],
                number["component"],
            ),
            ("N", "x", True, 3, {"type": "number"}, "Number"),
        )
        self.assertEqual(named["/kind"]["returns"][0]["component"], "Textbox")
        self.assertFalse(named["/textbox"]["parameters"][0]["parameter_has_default"])
        self.assertEqual(named["/layout"]["returns"], [])
        self.assertEqual(named["/len"]["parameters"][0]["parameter_name"], "param_0")


# Facts of Gradio 6.25: what its /config and /info have for the fields that clients read.
DEPENDENCY_FIELDS = """id targets inputs outputs backend_fn js queue api_name api_description
    scroll_to_output show_progress show_progress_on batch max_batch_size cancels types
    collects_event_data trigger_after trigger_only_on_success trigger_only_on_failure trigger_mode
    api_visibility rendered_in render_id connection time_limit stream_every event_specific_args
    component_prop_inputs js_implementation""".split()
CONFIG_FIELDS = """version api_prefix mode dev_mode components css connect_heartbeat js head title
    enable_queue show_error is_colab max_file_size stylesheets theme protocol body_css fill_height
    fill_width theme_hash pwa pages page mcp_server dependencies layout""".split()
PROPS = {
    "textbox": dict(
        type="text",
        lines=1,
        show_label=True,
        container=True,
        min_width=160,
        visible=True,
        autofocus=False,
        autoscroll=True,
        elem_classes=[],
        rtl=False,
        submit_btn=False,
        stop_btn=False,
        name="textbox",
    ),
    "number": dict(
        show_label=True, container=True, min_width=160, visible=True, step=1, name="number"
    ),
    "slider": dict(minimum=0, maximum=100, value=0, step=1, show_label=True, name="slider"),
    "checkbox": dict(value=False, show_label=True, name="checkbox"),
    "checkboxgroup": dict(choices=[], value=[], type="value", show_select_all=False),
    "radio": dict(choices=[], type="value", rtl=False),
    "dropdown": dict(choices=[], type="value", allow_custom_value=False, filterable=True),
    "image": dict(streamable=False, format="webp", image_mode="RGB", type="numpy", streaming=False),
    "file": dict(file_count="single", type="filepath", allow_reordering=False),
    "label": dict(value={}, show_heading=True),
    "json": dict(open=False, show_indices=False, max_height=500),
    "markdown": dict(
        rtl=False,
        sanitize_html=True,
        line_breaks=False,
        header_links=False,
        container=False,
        show_label=False,
    ),
    "html": dict(container=False, padding=False, show_label=False),
    "button": dict(
        value="Run", variant="secondary", size="lg", link_target="_self", interactive=True
    ),
    "row": dict(variant="default", equal_height=False, visible=True),
    "column": dict(scale=1, min_width=320, variant="default"),
    "accordion": dict(open=True),
    "group": dict(visible=True),
    "tabs": dict(visible=True),
}
NAMES = {"textbox": "Textbox", "checkboxgroup": "CheckboxGroup", "json": "JSON", "html": "HTML"}


class LikeGradio(WorkerTest):
    APP = (
        "import gradio as gr\nwith gr.Blocks() as demo:\n"
        + "".join("    gr.%s()\n" % NAMES.get(kind, kind.capitalize()) for kind in PROPS)
        + "    t = gr.Textbox(label='in')\n    gr.Button('go').click(lambda x: x, t, t, api_name='echo')\n"
    )

    def test_default_props(self):
        found = {}
        for block in self.worker.config["components"]:
            found.setdefault(block["type"], block["props"])
        for kind, expected in PROPS.items():
            for name, value in expected.items():
                with self.subTest(type=kind, prop=name):
                    self.assertEqual(found[kind].get(name, "absent"), value)

    def test_config_has_the_fields_clients_read(self):
        config = self.worker.config
        for name in CONFIG_FIELDS:
            self.assertIn(name, config)
        self.assertEqual(
            (config["version"], config["protocol"], config["api_prefix"]),
            ("6.25.0", "sse_v3", "/gradio_api"),
        )
        for name in ("root", "space_id", "app_id", "username"):
            self.assertNotIn(name, config)
        self.assertEqual(sorted(DEPENDENCY_FIELDS), sorted(config["dependencies"][0]))

    def test_info_of_echo(self):
        value = {
            "label": "in",
            "type": {"type": "string"},
            "python_type": {"type": "str", "description": ""},
            "component": "Textbox",
        }
        parameter = dict(
            value,
            parameter_name="x",
            parameter_has_default=False,
            parameter_default=None,
            example_input="Hello!!",
        )
        self.assertEqual(
            self.worker.info,
            {
                "named_endpoints": {
                    "/echo": {
                        "parameters": [parameter],
                        "returns": [value],
                        "api_visibility": "public",
                        "description": "",
                    }
                },
                "unnamed_endpoints": {},
            },
        )


class PerVersion(WorkerTest):
    def test_runs_on_python_3_13(self):
        """What Debian 13 has; skipped by name where it is not installed."""
        python = shutil.which("python3.13")
        if not python or subprocess.run([python, "--version"], capture_output=True).returncode:
            self.skipTest("python3.13 is not installed")
        worker = self.start(APP, python=python).ready()
        self.assertEqual(worker.value("number", 3.7), [4])
        self.assertEqual(worker.value("decorated", "x"), ["decorated x"])
        number = worker.call("bars", "x")
        worker.hear_type("progress")
        worker.cancel(number)
        self.assertEqual(worker.messages(number)[-1]["type"], "cancelled")


if __name__ == "__main__":
    unittest.main()
