import time

import gradio as gr


def is_prime(number):
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


def count_primes(limit, progress=gr.Progress()):
    """How many primes there are below the limit."""
    progress(0, desc="Warming up")
    time.sleep(0.5)
    found = 0
    step = max(1, int(limit) // 50)
    for start in progress.tqdm(range(0, int(limit), step), desc="Counting primes", unit="blocks"):
        found += sum(map(is_prime, range(start, min(start + step, int(limit)))))
        time.sleep(0.05)
    gr.Success(f"{found} primes below {int(limit)}")
    return found, {"limit": int(limit), "primes": found, "share": round(found / limit, 4)}


with gr.Blocks(title="Progress bar") as demo:
    gr.Markdown("# 📶 Progress bar\nThe bar follows a loop; a message says when it is done.")
    limit = gr.Slider(1000, 200000, value=20000, step=1000, label="Limit")
    run = gr.Button("Count", variant="primary")
    with gr.Row():
        primes = gr.Number(label="Primes")
        details = gr.JSON(label="Details")
    run.click(count_primes, limit, [primes, details], show_progress_on=primes)

demo.launch()
