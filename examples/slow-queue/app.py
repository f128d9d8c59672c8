import time

import gradio as gr

SECONDS = 8


def think(question):
    """Takes its time."""
    started = time.strftime("%H:%M:%S")
    for _ in range(SECONDS * 10):
        time.sleep(0.1)
    return (
        f"You asked: {question or '…'}\n"
        f"Started at {started}, done at {time.strftime('%H:%M:%S')}."
    )


with gr.Blocks(title="Slow queue") as demo:
    gr.Markdown(
        f"""
        # 🐢 Slow queue
        Each answer takes {SECONDS} seconds and only one visitor is served at a time.
        Open this page in a second browser, press **Run** in both, and watch the queue.
        """
    )
    question = gr.Textbox(label="Question", value="What is the answer?")
    run = gr.Button("Run", variant="primary")
    answer = gr.Textbox(label="Answer", lines=2)
    run.click(think, question, answer, concurrency_limit=1)

demo.queue(max_size=20).launch()
