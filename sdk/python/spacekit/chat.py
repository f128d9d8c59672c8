"""gr.ChatInterface: a function of (message, history), a ready chat."""

from . import context
from .blocks import Blocks
from .components import JSON, Button, Chatbot, Markdown, State, Textbox
from .components.chat import ChatMessage, message_of
from .components.data import Quoted
from .context import current_call
from .errors import refuse, unsupported
from .events import add
from .layout import Accordion, Row
from .signature import ASYNC, ASYNC_GENERATOR, Binder

COSMETIC = (
    "theme css js head analytics_enabled fill_height fill_width autofocus autoscroll stop_btn "
    "show_progress flagging_mode flagging_options type run_examples_on_click example_icons "
    "example_labels css_paths head_paths delete_cache"
).split()


class ChatInterface(Blocks):
    def __init__(
        self,
        fn,
        *,
        chatbot=None,
        textbox=None,
        additional_inputs=None,
        additional_inputs_accordion=None,
        examples=None,
        title=None,
        description=None,
        submit_btn="Send",
        concurrency_limit="default",
        api_name="chat",
        api_visibility="public",
        **other,
    ):
        super().__init__(mode="chat_interface", title=title or "Gradio")
        ignored = [name for name in COSMETIC if other.pop(name, None)]
        if ignored:
            context.say_once("ChatInterface(%s=...) is ignored" % ", ".join(ignored))
        refuse("ChatInterface", other)
        self.fn, self.binder = fn, Binder(fn)
        extra = additional_inputs or []
        self.additional = list(extra) if isinstance(extra, (list, tuple)) else [extra]
        limits = {"concurrency_limit": concurrency_limit, "concurrency_id": "chat:%d" % id(fn)}
        with self:
            if title:
                Markdown("<h1 style='text-align: center; margin-bottom: 1rem'>%s</h1>" % title)
            if description:
                Markdown(description)
            self._build(
                chatbot, textbox, submit_btn, additional_inputs_accordion or "Additional Inputs"
            )
            if examples:
                self._examples(examples)
            self._listen(limits, api_name, api_visibility)

    def _build(self, chatbot, textbox, submit, accordion):
        self.chatbot = chatbot.unrender().render() if chatbot else Chatbot(label="Chatbot")
        with Row():
            if textbox:
                self.textbox = textbox.unrender().render()
            else:
                self.textbox = Textbox(
                    label="Message", placeholder="Type a message...", show_label=False, scale=7
                )
            self.button = Button(submit, variant="primary", scale=1) if submit else None
        # Inputs that the app has placed itself stay where they are.
        loose = [block for block in self.additional if block.parent is None]
        if loose:
            accordion = accordion if isinstance(accordion, str) else "Additional Inputs"
            with Accordion(accordion, open=False):
                for block in loose:
                    block.render()
        self.history = State([])
        self.response = JSON(visible=False, label="Response")

    def _examples(self, examples):
        from .examples import Examples

        rows = [row if isinstance(row, (list, tuple)) else [row] for row in examples]
        if any(isinstance(row[0], dict) for row in rows):
            raise unsupported("ChatInterface examples with files")
        Examples(rows, [self.textbox] + self.additional)

    def _listen(self, limits, api_name, api_visibility):
        is_async = self.binder.signature.kind in (ASYNC, ASYNC_GENERATOR)
        triggers = [(self.textbox, "submit")]
        if self.button is not None:
            triggers.append((self.button, "click"))
        add(
            self,
            triggers,
            self._chat_async if is_async else self._chat,
            [self.textbox, self.chatbot] + self.additional,
            [self.textbox, self.chatbot],
            False,
            dict(limits),
        )
        # For API clients: one message in, the answer out, the history in the session.
        add(
            self,
            [],
            self._api_async if is_async else self._api,
            [self.textbox, self.history] + self.additional,
            [self.response, self.history],
            api_name,
            dict(limits, api_visibility=api_visibility),
        )

    # -- the page ----------------------------------------------------------------------------------

    def _bound(self, message, history, extra):
        return self.binder.bind([message, history] + list(extra), current_call.get())

    def _chat(self, message, history, *extra):
        history = list(history or [])
        asked = history + [{"role": "user", "content": message}]
        yield "", asked
        positional, named = self._bound(message, history, extra)
        answer = self.fn(*positional, **named)
        if hasattr(answer, "__next__"):
            for part in answer:
                yield "", asked + replies(part)
        else:
            yield "", asked + replies(answer)

    async def _chat_async(self, message, history, *extra):
        history = list(history or [])
        asked = history + [{"role": "user", "content": message}]
        yield "", asked
        positional, named = self._bound(message, history, extra)
        answer = self.fn(*positional, **named)
        if hasattr(answer, "__anext__"):
            async for part in answer:
                yield "", asked + replies(part)
        else:
            yield "", asked + replies(await answer)

    # -- the API -----------------------------------------------------------------------------------

    def _api(self, message, history, *extra):
        positional, named = self._bound(message, history, extra)
        answer = self.fn(*positional, **named)
        if hasattr(answer, "__next__"):
            for part in answer:
                yield shown(part), remember(history, message, part)
        else:
            yield shown(answer), remember(history, message, answer)

    async def _api_async(self, message, history, *extra):
        positional, named = self._bound(message, history, extra)
        answer = self.fn(*positional, **named)
        if hasattr(answer, "__anext__"):
            async for part in answer:
                yield shown(part), remember(history, message, part)
        else:
            answer = await answer
            yield shown(answer), remember(history, message, answer)


def replies(answer):
    """The assistant's messages in what the function returned."""
    if answer is None:
        return []
    answers = answer if isinstance(answer, list) else [answer]
    return [_reply(one) for one in answers]


def _reply(one):
    if isinstance(one, (dict, ChatMessage)):
        one = vars(one) if isinstance(one, ChatMessage) else one
        return dict(one, role=one.get("role") or "assistant")
    return {"role": "assistant", "content": one if isinstance(one, (str, tuple)) else str(one)}


def shown(answer):
    """For API clients: plain text stays plain text."""
    if answer is None:
        return None
    if isinstance(answer, str):
        return Quoted(answer)
    return [message_of(reply) for reply in replies(answer)]


def remember(history, message, answer):
    return history + [{"role": "user", "content": message}] + replies(answer)
