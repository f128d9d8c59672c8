import time

import gradio as gr


def polite(name):
    if not name:
        raise gr.Error("Please type your name first.", title="Name missing", duration=5)
    return f"Thank you, {name}."


def warns(name):
    gr.Warning("This is only a warning; the answer still comes.")
    time.sleep(1)
    return f"{name or 'Nobody'} was warned."


def bug(name):
    return 1 / 0


def dies_half_way(name):
    for part in ("one", "one two", "one two three"):
        yield part
        time.sleep(0.7)
    raise gr.Error("It broke after three words.")


with gr.Blocks(title="When things go wrong") as demo:
    gr.Markdown("# 💥 When things go wrong\nEach button fails in another way.")
    name = gr.Textbox(label="Your name")
    with gr.Row():
        one = gr.Button("Polite error")
        two = gr.Button("Warning")
        three = gr.Button("Bug", variant="stop")
        four = gr.Button("Half way")
    answer = gr.Textbox(label="Answer")
    one.click(polite, name, answer)
    two.click(warns, name, answer)
    three.click(bug, name, answer)
    four.click(dies_half_way, name, answer)

demo.launch()
