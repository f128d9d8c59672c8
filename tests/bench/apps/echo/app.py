import time

import gradio as gr

with gr.Blocks() as demo:
    text = gr.Textbox(label="in")
    out = gr.Textbox(label="out")
    go = gr.Button("go")
    go.click(lambda x: x, text, out, api_name="echo", concurrency_limit=None)

demo.launch()
