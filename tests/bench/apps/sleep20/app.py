import time

import gradio as gr


def nap(x):
    time.sleep(0.02)
    return x


with gr.Blocks() as demo:
    text = gr.Textbox(label="in")
    out = gr.Textbox(label="out")
    gr.Button("go").click(nap, text, out, api_name="nap")

demo.launch()
