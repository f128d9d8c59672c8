import time

import gradio as gr

STORY = (
    "Once upon a time there was a small program that lived in a sandbox. It had two processors, "
    "a little memory and one socket. Every morning visitors came and asked it things, one after "
    "the other, and it answered word by word, because that feels faster than it is. "
)


def write(words, speed):
    """Types the story."""
    text = ""
    for word in (STORY.split() * 10)[: int(words)]:
        text += word + " "
        yield text
        time.sleep(1 / speed)


with gr.Blocks(title="Typing machine") as demo:
    gr.Markdown("# ⌨️ Typing machine\nA generator: each `yield` is shown at once.")
    with gr.Row():
        words = gr.Slider(5, 200, value=60, step=1, label="Words")
        speed = gr.Slider(1, 40, value=12, step=1, label="Words per second")
    with gr.Row():
        start = gr.Button("Write", variant="primary")
        stop = gr.Button("Stop", variant="stop")
    story = gr.Textbox(label="Story", lines=8)
    writing = start.click(write, [words, speed], story)
    stop.click(None, cancels=[writing])

demo.launch()
