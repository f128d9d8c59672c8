import gradio as gr


def greet(name):
    """Says hello."""
    return f"Hello {name or 'world'}! 👋"


demo = gr.Interface(
    greet,
    inputs=gr.Textbox(label="Your name", placeholder="Ada"),
    outputs=gr.Textbox(label="Greeting"),
    title="👋 Hello",
    description="Type a name and press Submit.",
)

if __name__ == "__main__":
    demo.launch()
