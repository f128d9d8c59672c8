import gradio as gr


def add(step, count, history):
    count += int(step)
    history = history + [count]
    return (
        count,
        count,
        history,
        {str(value): 1 / (1 + age) for age, value in enumerate(history[::-1][:5])},
    )


def reset():
    gr.Info("Back to zero")
    return 0, 0, [], None


with gr.Blocks(title="Your own counter") as demo:
    gr.Markdown("# 🔢 Your own counter\nEvery visitor has their own value, kept in `gr.State`.")
    count, history = gr.State(0), gr.State([])
    step = gr.Radio([1, 2, 5, 10], value=1, label="Step")
    with gr.Row():
        more = gr.Button("Count", variant="primary")
        again = gr.Button("Reset")
    with gr.Row():
        shown = gr.Number(0, label="Count", interactive=False)
        recent = gr.Label(label="Recent values", num_top_classes=5)
    more.click(add, [step, count, history], [count, shown, history, recent], api_name="add")
    again.click(reset, None, [count, shown, history, recent], api_name="reset")

demo.launch()
