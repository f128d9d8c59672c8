"""The whole daemon, with apps that lie to it. It starts the launcher itself, so the apps are uid 1000."""

import os
import subprocess
import sys
import tempfile

from escape import ROOT, story

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
import harness  # noqa: E402

HEADER = "---\nsdk: gradio\n---\n"
ECHO = ("import gradio as gr\ngr.Interface(lambda x: x, gr.Textbox(label='in'), gr.Textbox(label='out'),"
        " api_name='echo').launch()\n")
CASES = []


class Story:
    """A daemon with one app; the harness' checks come at the end."""

    def __init__(self, args=()):
        self.case = harness.Case()
        self.case.setUp()
        self.d = self.case.daemon(args=args)

    def deploy(self, text, name, **more):
        return self.d.deploy(self.case.folder({"README.md": HEADER, "app.py": text + ECHO}), name, **more)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.case.tearDown()
        self.case.doCleanups()


def on_terminal(argv, env):
    """What a program writes to a terminal."""
    ours, theirs = os.openpty()
    done = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=theirs, env={**os.environ, **env})
    os.close(theirs)
    text = b""
    try:
        while piece := os.read(ours, 65536):
            text += piece
    except OSError:
        pass  # EIO: the other end is closed
    os.close(ours)
    done.wait()
    return text


@story(44, "a descriptor passed to the daemon over the protocol socket (SCM_RIGHTS)", "not taken", uids=(1000,))
def passed(t):
    code = ("import os, socket\ns = socket.socket(fileno=os.dup(3))\n"
            "for _ in range(50):\n    socket.send_fds(s, [b' '], [os.open('/dev/null', os.O_RDONLY)] * 20)\n")
    with Story(["--set", "space.start_timeout=20s"]) as s:
        s.deploy("", "me/well")
        fds = lambda: len(os.listdir("/proc/%d/fd" % s.d.process.pid))
        before = fds()
        s.deploy(code, "me/passer", check=False)
        s.d.cli("delete", "me/passer", "--yes", check=False)
        harness.wait_for("the daemon's descriptors", lambda: fds() <= before, 20)
        t.expect(s.d.call("me/well", "echo", ["x"]) == ("complete", ["x"]), "others noticed")
        s.d.expected_errors.append(".*")
    return "not taken"


@story(52, "links among the outputs to files of the host; the daemon reads, lists and deletes", "refused; nothing followed",
       uids=(1000,))
def links(t):
    with tempfile.TemporaryDirectory(dir="/tmp") as precious, Story() as s:
        os.chmod(precious, 0o777)
        with open(precious + "/keep", "w", encoding="utf-8") as file:
            file.write("keep")
        targets = {"passwd": "/etc/passwd", "token": s.d.state + "/admin.token", "up": "../../../admin.token",
                   "dir": precious, "all": "/", "self": "self"}
        s.deploy("import os\nfor name, target in %r.items():\n    os.symlink(target, '/run/files/o/' + name)\n" % targets,
                 "me/liar")
        made = os.listdir(os.path.join(s.d.state, "files", os.listdir(s.d.state + "/files")[0], "o"))
        t.expect(set(targets) <= set(made), repr(made))
        for path in ("passwd", "token", "up", "dir/keep", "all/etc/passwd", "self"):
            reply = s.d.get("/app/me/liar/gradio_api/file=/run/files/o/" + path, token=None)
            t.expect(reply.status in (400, 403, 404), "%s: %d" % (path, reply.status))
        s.d.cli("delete", "me/liar", "--yes")
        harness.wait_for("no files", lambda: not os.listdir(s.d.state + "/files"))
        t.expect(os.listdir(precious) == ["keep"], "followed when it deleted")
    return "403 or 404, nothing followed"


@story(53, "a flood of log, lines without an end, escape codes", "capped; the daemon answers; codes are escaped",
       uids=(1000,))
def log(t):
    code = ("import sys\nsys.stdout.write('x' * (16 << 20))\nfor n in range(100000):\n"
            "    print('\\033]0;title\\007\\033[2J line', n)\nprint(flush=True)\n")
    with Story(["--set", "log.max_bytes=1M"]) as s:
        s.deploy(code, "me/loud")
        t.expect(s.d.call("me/loud", "echo", ["x"]) == ("complete", ["x"]), "the daemon does not answer")
        size = sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(s.d.state) for name in names
                   if "log" in os.path.relpath(top, s.d.state) or name.endswith(".log"))
        t.expect(size < 4 << 20, "%d bytes of log" % size)
        raw = s.d.get("/api/spaces/me/loud/logs/run?lines=50").body
        t.expect(b"\x1b" not in raw, "raw codes in the stream")
        printed = on_terminal([harness.BUILD + "/spaces", "logs", "me/loud"],
                              {"SPACES_URL": s.d.url, "SPACES_TOKEN": s.d.token})
        t.expect(b" line " in printed and b"\x1b" not in printed, "raw codes on the terminal")
    return "capped, escaped"
