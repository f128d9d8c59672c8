import os
import time

import gradio as gr


def echo(x):
    return x


def slow(seconds):
    """Says in the app's files that it ran: a story counts the lines."""
    with open("/run/files/o/ran", "a") as ran:
        ran.write(f"{seconds}\n")
    time.sleep(seconds)
    return f"slept {seconds}"


def gen(n):
    text = ""
    for i in range(int(n)):
        time.sleep(0.05)
        text += f"abc{i} "
        yield text


def boom(x):
    raise gr.Error(f"boom: {x}")


def prog(x, progress=gr.Progress()):
    for i in range(3):
        progress((i, 3), desc="step", unit="steps")
        time.sleep(0.1)
    gr.Info("note")
    return x


def count(x, n):
    n = (n or 0) + 1
    return f"{x} #{n}", n


def fil(path):
    return path


def direct(x):
    return x


def die(x):
    os._exit(7)


def spin(x):
    while True:
        time.sleep(0.05)


with gr.Blocks(title="kitchen") as demo:
    text = gr.Textbox(label="in")
    number = gr.Number(value=3, label="n")
    out = gr.Textbox(label="out")
    go = gr.Button("go")
    file_in = gr.File(label="f")
    file_out = gr.File(label="g")
    state = gr.State(0)
    go.click(echo, text, out, api_name="echo", concurrency_limit=None)
    go.click(slow, number, out, api_name="slow")
    go.click(gen, number, out, api_name="gen", concurrency_limit=4)
    go.click(boom, text, out, api_name="boom")
    go.click(prog, text, out, api_name="prog")
    go.click(count, [text, state], [out, state], api_name="count")
    go.click(fil, file_in, file_out, api_name="fil")
    go.click(direct, text, out, api_name="direct", queue=False)
    go.click(die, text, out, api_name="die")
    go.click(spin, text, out, api_name="spin", concurrency_limit=2)

demo.queue(max_size=30)
demo.launch()
