"""Entry point of a worker: `python3 worker.py`, started with the app's folder as cwd.
`python3 worker.py --zygote app.py` becomes the zygote that workers are forked from.

The folder that this file is in may be mounted anywhere and read-only. The app comes first on
sys.path so that its modules win; ours come last so that a real `gradio` beside the app wins too.
"""
import os
import sys

sys.dont_write_bytecode = sys.dont_write_bytecode or not os.access(
    os.path.dirname(__file__), os.W_OK
)
HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    if sys.path and os.path.abspath(sys.path[0]) == HERE:
        del sys.path[0]
    sys.path.insert(0, os.getcwd())
    sys.path += [HERE, os.path.join(HERE, "spacekit", "compat")]
    if sys.argv[1:2] == ["--zygote"]:
        from spacekit import zygote

        zygote.run(sys.argv[2])
    else:
        from spacekit import worker

        worker.run()


if __name__ == "__main__":
    main()
