import gradio as gr

gr.Interface(lambda x: x, gr.Textbox(label="in"), gr.Textbox(label="out"), api_name="echo").launch()
