"""gr.Examples: rows of values that a click puts into the inputs."""

from . import context
from .components.base import Component
from .errors import refuse, unsupported
from .events import add


class Dataset(Component):
    type = "dataset"
    EVENTS = ("click", "select")
    API = {"type": "integer", "description": "index of selected example"}
    PYTHON = "int"
    EXAMPLE = 0

    def __init__(
        self,
        *,
        label=None,
        components=None,
        samples=None,
        headers=None,
        type="values",
        samples_per_page=10,
        **common,
    ):
        if type not in ("values", "index"):
            raise unsupported("Dataset(type=%r)" % type)
        self.components, self.kind = list(components or ()), type
        self.samples = [list(sample) for sample in samples or ([],)]
        self.begin(
            {
                "headers": headers or [],
                "type": type,
                "samples_per_page": samples_per_page,
                "components": [{"name": block.type} for block in self.components],
                "component_ids": [block.id for block in self.components],
                "samples": [self._shown(sample) for sample in self.samples],
            },
            label=label,
            **common,
        )
        self.set_value(None)

    def _shown(self, sample):
        return [block.postprocess(value) for block, value in zip(self.components, sample)]

    def preprocess(self, value):
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or not 0 <= value < len(self.samples)
        ):
            raise ValueError("there is no example %r" % (value,))
        return value if self.kind == "index" else self.samples[value]


IGNORED = "example_labels elem_id visible preprocess postprocess api_name batch preload".split()


class Examples:
    def __init__(
        self,
        examples,
        inputs,
        outputs=None,
        fn=None,
        cache_examples=None,
        *,
        examples_per_page=10,
        label="Examples",
        run_on_click=False,
        api_visibility=None,
        cache_mode=None,
        **other,
    ):
        if cache_examples:
            raise unsupported("Examples(cache_examples=True)")
        if not isinstance(examples, (list, tuple)):
            raise unsupported("Examples of a folder")
        for name in IGNORED:
            other.pop(name, None)
        refuse("Examples", other)
        root = context.Building.root
        if root is None:
            raise AttributeError("Examples() outside of a gradio.Blocks context")
        self.inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        self.examples = [row if isinstance(row, (list, tuple)) else [row] for row in examples]
        self.dataset = Dataset(
            label=label,
            components=self.inputs,
            samples=self.examples,
            type="index",
            samples_per_page=examples_per_page,
            headers=[block.label or "" for block in self.inputs],
        )
        self._listen(root, outputs, fn, run_on_click)

    def _listen(self, root, outputs, fn, run_on_click):
        def load_example(index):
            row = list(self.examples[index])
            row += [None] * (len(self.inputs) - len(row))
            return row if len(row) != 1 else row[0]

        options = {"queue": False, "show_progress": "hidden", "api_visibility": "undocumented"}
        self.load_input_event = add(
            root,
            [(self.dataset, "click")],
            load_example,
            [self.dataset],
            self.inputs,
            "load_example",
            options,
        )
        if run_on_click:
            if fn is None:
                raise ValueError("Examples(run_on_click=True) needs fn and outputs")
            self.load_input_event.then(fn, self.inputs, outputs, api_name=False)
