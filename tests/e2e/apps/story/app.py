import time

import gradio as gr


def slowly(name):
    time.sleep(4)
    return f"hello {name}"


def stream():
    text = ""
    for word in "one two three four five".split():
        text += word + " "
        yield text.strip()
        time.sleep(0.2)


def progress(bar=gr.Progress()):
    for i in range(20):
        bar((i + 1, 20), unit="steps")
        time.sleep(0.1)
    return "counted to 20"


def forever():
    while True:
        time.sleep(0.05)


def fail():
    raise gr.Error("this is on purpose")


with gr.Blocks(title="Story") as demo:
    gr.Markdown("# A story\n\nPress the buttons.")
    name = gr.Textbox(label="Name")
    out = gr.Textbox(label="Answer")
    with gr.Row():
        gr.Button("Run slowly", variant="primary").click(slowly, name, out)
        gr.Button("Stream").click(stream, None, out)
        gr.Button("Progress").click(progress, None, out)
        gr.Button("Forever").click(forever, None, out)
        gr.Button("Fail").click(fail, None, out)

demo.launch()
