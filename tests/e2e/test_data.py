"""/data: a Space's own file system that outlives its sandboxes, with hard limits of bytes and inodes.

The launcher is driven directly. After each test no loop device, mount, process or group is left.
"""

import contextlib
import glob
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "support"))
import launch_driver as launch  # noqa: E402

PYTHON = "/usr/bin/python3"
MIB = 1 << 20
SIZE = 32 * MIB


def setUpModule():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: spaces-launcher builds sandboxes as root")
    if not os.path.exists(os.path.join(launch.BUILD, "spaces-launcher")):
        raise unittest.SkipTest("needs build: %s/spaces-launcher" % launch.BUILD)
    probe = launch.Launcher()
    hello = probe.hello()
    try:
        if not hello.complete:
            raise unittest.SkipTest("needs userns: " + hello.missing)
        try:
            probe.stop(probe.sandbox(data=SIZE))
        except RuntimeError as e:
            if "offers no '/data'" in str(e) or "loop device" in str(e):
                raise unittest.SkipTest("needs loop devices: %s" % e) from e
            raise
    finally:
        probe.close()
        probe.remove()


def loops_of(path):
    """The loop devices whose file lies below the path."""
    found = []
    for name in glob.glob("/sys/block/loop*/loop/backing_file"):
        try:
            with open(name, encoding="utf-8") as file:
                if path in file.read():
                    found.append(name.split("/")[3])
        except OSError:
            continue
    return found


def wait_until(check, what, seconds=30):
    end = time.monotonic() + seconds
    while not check():
        if time.monotonic() > end:
            raise AssertionError("waited %d s for %s" % (seconds, what))
        time.sleep(0.01)


class Case(unittest.TestCase):
    def setUp(self):
        self.l = launch.Launcher()
        self.assertTrue(self.l.hello().complete)

    def tearDown(self):
        if self.l.sock.fileno() >= 0:
            self.assertEqual(self.l.close(), 0)
        self.assertEqual(launch.processes_of(self.l.state_id), [])
        self.assertEqual(launch.groups_of(self.l.state_id), [])
        self.assertEqual(launch.mounts_of(self.l.state), [])
        wait_until(lambda: not loops_of(self.l.state), "the loop devices to go")
        self.l.remove()

    def python(self, box, code):
        event, text = self.l.run(box, [PYTHON, "-c", code])
        return event.status, text.strip()

    def image(self, space=7):
        return os.path.join(self.l.state, "data", "%016x.img" % space)

    def refused(self, **limits):
        with self.assertRaises(RuntimeError) as caught:
            self.l.sandbox(**limits)
        return str(caught.exception)


class Limits(Case):
    def test_a_space_without_storage_has_no_data_folder(self):
        box = self.l.sandbox()
        self.assertEqual(self.python(box, "import os; print(os.path.exists('/data'))"), (0, "False"))

    def test_bytes_in_data_end_with_enospc_and_another_space_goes_on(self):
        box, other = self.l.sandbox(space=7, data=SIZE), self.l.sandbox(space=8, data=SIZE)
        code = ("import errno\nn = 0\ntry:\n with open('/data/f', 'wb') as f:\n"
                "  while True: f.write(b'x' * 65536); f.flush(); n += 65536\n"
                "except OSError as e: print(errno.errorcode[e.errno], n)")
        status, text = self.python(box, code)
        word, written = text.split()
        self.assertEqual((status, word), (0, "ENOSPC"))
        self.assertLess(int(written), SIZE)
        self.assertGreater(int(written), SIZE // 2)
        self.assertEqual(self.python(other, "open('/data/g', 'w').write('y' * 100000); print('fine')"),
                         (0, "fine"))
        self.assertEqual(os.stat(self.image()).st_size, SIZE)

    def test_inodes_in_data_end_with_enospc(self):
        box = self.l.sandbox(data=SIZE, data_inodes=200)
        code = ("import errno\nn = 0\ntry:\n while n < 100000: open('/data/%d' % n, 'w').close(); n += 1\n"
                "except OSError as e: print(errno.errorcode[e.errno], n)")
        status, text = self.python(box, code)
        word, made = text.split()
        self.assertEqual((status, word), (0, "ENOSPC"))
        self.assertGreaterEqual(int(made), 200)
        self.assertLess(int(made), 1000)  # ext4 rounds up to whole blocks of its tables

    def test_what_is_deleted_goes_back_to_the_host(self):
        box = self.l.sandbox(data=SIZE)
        self.python(box, "import os\nf = open('/data/f', 'wb')\nf.write(os.urandom(%d)); os.fsync(f.fileno())"
                    % (16 * MIB))
        full = os.stat(self.image()).st_blocks * 512
        self.assertGreater(full, 16 * MIB)
        self.python(box, "import os\nos.unlink('/data/f'); os.sync()")
        wait_until(lambda: os.stat(self.image()).st_blocks * 512 < full - 15 * MIB, "the host's disk")

    def test_setuid_and_device_files_in_data_have_no_power(self):
        box = self.l.sandbox(data=SIZE)
        code = ("line = [l for l in open('/proc/self/mountinfo') if '/run/space/data' in l][0]\n"
                "print('nosuid' in line, 'nodev' in line, '/dev/loop' in line, 'spaces-launch' in line)")
        self.assertEqual(self.python(box, code), (0, "True True False False"))


class Life(Case):
    def test_data_is_kept_between_sandboxes_and_owned_by_the_app(self):
        box = self.l.sandbox(data=SIZE)
        self.python(box, "open('/data/kept', 'w').write('of old')")
        self.l.stop(box)
        box = self.l.sandbox(data=SIZE)
        code = "import os\ns = os.stat('/data/kept')\nprint(open('/data/kept').read(), s.st_uid, s.st_gid)"
        self.assertEqual(self.python(box, code), (0, "of old 1000 1000"))

    def test_two_sandboxes_of_a_space_share_one_file_system(self):
        first, second = self.l.sandbox(data=SIZE), self.l.sandbox(data=SIZE)
        self.python(first, "open('/data/x', 'w').write('from the first')")
        self.assertEqual(self.python(second, "print(open('/data/x').read())"), (0, "from the first"))
        self.assertEqual(len(loops_of(self.l.state)), 1)
        self.l.stop(first)
        self.assertEqual(self.python(second, "print(open('/data/x').read())"), (0, "from the first"))
        self.l.stop(second)
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")

    def test_starts_at_the_same_time_get_the_same_file_system(self):
        bodies = [self.l.start_body(data=SIZE) for _ in range(6)]
        asked = []
        for body in bodies:
            self.l.next_id += 1
            asked.append((self.l.send(launch.SANDBOX_START, body=body, sandbox=self.l.next_id), self.l.next_id))
        answers = [(self.l.answer(seq), box) for seq, box in asked]
        self.assertEqual([getattr(answer, "text", "") for answer, _ in answers], [""] * 6)
        self.python(answers[0][1], "open('/data/x', 'w').write('one')")
        self.assertEqual(self.python(answers[5][1], "print(open('/data/x').read())"), (0, "one"))
        self.assertEqual(len(loops_of(self.l.state)), 1)

    def test_it_grows_with_the_limit_and_is_never_made_smaller(self):
        box = self.l.sandbox(data=SIZE)
        self.python(box, "open('/data/kept', 'w').write('of old')")
        self.l.stop(box)
        box = self.l.sandbox(data=2 * SIZE)
        code = ("import os\nv = os.statvfs('/data')\nprint(open('/data/kept').read(), v.f_blocks * v.f_frsize > %d)"
                % SIZE)
        self.assertEqual(self.python(box, code), (0, "of old True"))
        self.l.stop(box)
        self.assertIn("it is never made smaller", self.refused(data=SIZE))
        box = self.l.sandbox(data=2 * SIZE)
        self.assertEqual(self.python(box, "print(open('/data/kept').read())"), (0, "of old"))

    def test_a_growth_that_was_cut_short_is_finished_by_the_next_start(self):
        for size in (SIZE, 256 * MIB):  # within its only group, and at the end of a group
            with self.subTest(size=size):
                box = self.l.sandbox(space=size, data=size)
                self.python(box, "open('/data/kept', 'w').write('of old')")
                self.l.stop(box)
                wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
                os.truncate(self.image(size), 2 * size)  # what is there when resize2fs was about to come
                box = self.l.sandbox(space=size, data=2 * size)
                code = "import os\nv = os.statvfs('/data')\nprint(open('/data/kept').read(), v.f_blocks * v.f_frsize > %d)"
                self.assertEqual(self.python(box, code % size), (0, "of old True"))
                self.l.stop(box)
                wait_until(lambda: not loops_of(self.l.state), "the loop device to go")

    def test_a_growth_that_was_killed_half_done_is_put_back_and_done_again(self):
        big = 1 << 40
        box = self.l.sandbox(data=10 << 30)
        self.python(box, "open('/data/kept', 'w').write('of old')")
        self.l.stop(box)
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
        undo = os.path.join(self.l.state, "data", ".%016x.undo" % 7)
        self.l.send(launch.SANDBOX_START, body=self.l.start_body(data=big), sandbox=self.l.next_id + 1)
        wait_until(lambda: os.path.exists(undo) and os.stat(undo).st_size > MIB, "resize2fs to be at it")
        self.l.process.send_signal(signal.SIGKILL)
        self.l.process.wait()
        self.l.sock.close()
        self.assertTrue(os.path.exists(undo))
        self.l.events.clear()
        self.l.start()
        self.l.hello()
        box = self.l.sandbox(data=big)
        code = "import os\nv = os.statvfs('/data')\nprint(open('/data/kept').read(), v.f_blocks * v.f_frsize > %d)"
        self.assertEqual(self.python(box, code % (big * 9 // 10)), (0, "of old True"))
        self.assertFalse(os.path.exists(undo))

    def test_a_size_that_ext4_cannot_use_to_the_end_is_whole(self):
        size = 128 * MIB + MIB  # its last group would hold its tables only
        for attempt in range(2):
            box = self.l.sandbox(data=size)
            self.l.stop(box)
            wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
            self.assertEqual(os.stat(self.image()).st_size, size)
            if attempt == 0:
                with open(self.image(), "rb") as file:
                    file.seek(1024)
                    super_block = file.read(1024)
        with open(self.image(), "rb") as file:
            file.seek(1024)
            checked = file.read(1024)
        # Last check: no e2fsck -f, which comes before each growth, was needed.
        self.assertEqual(checked[0x40:0x44], super_block[0x40:0x44])

    def test_one_that_must_grow_waits_for_the_sandbox_that_has_it(self):
        first = self.l.sandbox(data=SIZE)
        self.l.next_id += 1
        second = self.l.next_id
        seq = self.l.send(launch.SANDBOX_START, body=self.l.start_body(data=2 * SIZE), sandbox=second)
        self.assertEqual(self.python(first, "print('still here')"), (0, "still here"))
        self.l.stop(first)
        self.assertEqual(self.l.answer(seq).kind, launch.OK)

    def test_a_start_is_not_kept_waiting_by_another_spaces_new_image(self):
        self.l.next_id += 1
        slow = self.l.send(launch.SANDBOX_START, body=self.l.start_body(space=9, data=8 << 30),
                           sandbox=self.l.next_id)
        quick = self.l.sandbox(space=10)
        self.assertFalse([m for m in self.l.events if m.seq == slow], "the image was made before the other start")
        self.l.stop(quick)
        self.assertEqual(self.l.answer(slow).kind, launch.OK)

    def test_a_stop_while_the_image_is_made_leaves_nothing_half_made(self):
        self.l.next_id += 1
        box = self.l.next_id
        seq = self.l.send(launch.SANDBOX_START, body=self.l.start_body(data=8 << 30), sandbox=box)
        self.l.send(launch.SANDBOX_STOP, body=b"\0" * 4, sandbox=box)
        answer = self.l.answer(seq)
        if answer.kind == launch.OK:
            self.l.event(launch.SANDBOX_GONE, sandbox=box)
        box = self.l.sandbox(data=8 << 30)
        self.assertEqual(self.python(box, "open('/data/x', 'w').write('1'); print('fine')"), (0, "fine"))

    def test_a_killed_launcher_leaves_no_loop_device_and_no_loss(self):
        box = self.l.sandbox(data=SIZE)
        self.python(box, "import os\nf = open('/data/kept', 'w')\nf.write('safe'); f.flush(); os.fsync(f.fileno())")
        self.l.process.send_signal(signal.SIGKILL)
        self.l.process.wait()
        self.l.sock.close()
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
        self.l.events.clear()
        self.l.start()
        self.l.hello()
        box = self.l.sandbox(data=SIZE)
        self.assertEqual(self.python(box, "print(open('/data/kept').read())"), (0, "safe"))


class FullDisk(Case):
    """The state folder is on a file system of its own that is nearly full."""

    def setUp(self):
        self.disk = tempfile.mkdtemp(prefix="spaces-disk-")
        self.addCleanup(os.rmdir, self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=9m", "none", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        os.chmod(self.disk, 0o755)
        self.l = launch.Launcher(state_parent=self.disk)
        self.assertTrue(self.l.hello().complete)

    def test_a_growth_that_fails_is_taken_back_and_the_size_before_serves_on(self):
        # No room for so many tables; and, where there may be room, more at once than resize2fs can.
        for space, size in ((7, 100 << 30), (8, SIZE)):
            with self.subTest(size=size):
                box = self.l.sandbox(space=space, data=size, data_inodes=10000)
                self.python(box, "open('/data/kept', 'w').write('of old')")
                self.l.stop(box)
                wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
                told = self.refused(space=space, data=4 << 40)
                for words in ("it stays at %d MiB, for it cannot grow to 4194304 MiB" % (size >> 20), "resize2fs ended with"):
                    self.assertIn(words, told)
                self.assertEqual(os.stat(self.image(space)).st_size, size)
                self.assertFalse(os.path.exists(os.path.join(self.l.state, "data", ".%016x.undo" % space)))
                box = self.l.sandbox(space=space, data=size)
                self.assertEqual(self.python(box, "print(open('/data/kept').read())"), (0, "of old"))
                self.l.stop(box)
                wait_until(lambda: not loops_of(self.l.state), "the loop device to go")


class Damage(Case):
    def write(self, box, name, size):
        """'fine', or what the app was told instead."""
        return self.python(box, "import os\ntry:\n f = open('/data/%s', 'wb'); f.write(b'x' * %d); f.flush()\n"
                           " os.fsync(f.fileno()); print('fine')\nexcept OSError as e: print(e)" % (name, size))[1]

    def length(self, box, name):
        return self.python(box, "import os; print(os.path.getsize('/data/%s'))" % name)[1]

    def tool(self, *words, status=0):
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C"})
        self.assertEqual(done.returncode, status, done.stdout)
        return done.stdout

    def zero(self, offset, length):
        with open(self.image(), "r+b") as file:
            file.seek(offset)
            file.write(b"\0" * length)

    def block_of(self, what):
        """The byte at which the first group has it."""
        return 4096 * int(re.search(what + r" at (\d+)", self.tool("dumpe2fs", self.image())).group(1))

    def begin(self, size=SIZE):
        """An image with a file in it that nobody uses now."""
        box = self.l.sandbox(data=size)
        self.assertEqual(self.write(box, "kept", MIB), "fine")
        self.l.stop(box)
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")

    def content(self):
        with open(self.image(), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def test_damage_that_the_kernel_finds_is_repaired_by_the_next_start_and_files_are_kept(self):
        self.begin()
        self.zero(self.block_of("Block bitmap"), 4096)
        box = self.l.sandbox(data=SIZE)
        self.assertNotEqual(self.write(box, "new", 8 * MIB), "fine")
        self.l.stop(box)
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
        self.assertIn("with errors", self.tool("dumpe2fs", "-h", self.image()))
        box = self.l.sandbox(data=SIZE)
        self.assertEqual(self.write(box, "new", 8 * MIB), "fine")
        self.assertEqual(self.length(box, "kept"), str(MIB))
        self.l.stop(box)
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
        self.assertNotIn("with errors", self.tool("dumpe2fs", "-h", self.image()))

    def test_damage_beyond_repair_is_a_sentence_and_nothing_is_lost_by_it(self):
        size = 256 * MIB  # so large that ext4 has a second superblock
        self.begin(size)
        self.zero(1024, 1024)
        before = self.content()
        told = self.refused(data=size)
        for words in ("damaged beyond automatic repair (e2fsck ended with 8)", "nothing in it was deleted",
                      "repair 'data/0000000000000007.img'", "delete the storage and choose it again"):
            self.assertIn(words, told)
        self.assertEqual(self.content(), before)
        self.assertEqual(loops_of(self.l.state), [])
        # What the sentence says helps.
        self.tool("e2fsck", "-f", "-y", "-b", "32768", "-B", "4096", self.image(), status=1)
        box = self.l.sandbox(data=size)
        self.assertEqual(self.length(box, "kept"), str(MIB))

    def test_an_image_that_says_it_is_clean_but_does_not_mount_is_the_same_sentence(self):
        self.begin()
        self.zero(self.block_of("Inode table"), 4 * 256)  # the root folder, not the journal
        self.assertIn("beyond automatic repair (the kernel does not mount it)", self.refused(data=SIZE))
        wait_until(lambda: not loops_of(self.l.state), "the loop device to go")
        with open(self.image(), "rb") as file:  # the kernel has noted the error, and nothing else
            self.assertIn(b"x" * MIB, file.read())

    def test_a_cut_image_is_neither_grown_nor_mounted(self):
        self.begin()
        os.truncate(self.image(), SIZE // 2)
        self.assertIn("beyond automatic repair", self.refused(data=SIZE))
        self.assertEqual(os.stat(self.image()).st_size, SIZE // 2)


class Hostile(Case):
    """The daemon's side has been taken over: what it puts into the folder is not mounted."""

    def put(self, make):
        os.makedirs(os.path.dirname(self.image()), exist_ok=True)
        make(self.image())

    def test_an_image_that_root_did_not_make_is_refused(self):
        def make(path):
            with open(path, "wb") as file:
                file.truncate(SIZE)
            os.chown(path, launch.DAEMON_UID, launch.DAEMON_UID)
        self.put(make)
        self.assertIn("not a file of root's alone", self.refused(data=SIZE))

    def test_a_link_in_the_place_of_an_image_is_not_followed(self):
        host = os.path.join(self.l.state, "host.img")
        with open(host, "wb") as file:
            file.truncate(SIZE)
        os.chmod(host, 0o600)
        self.put(lambda path: os.symlink(host, path))
        self.assertIn("open the image", self.refused(data=SIZE))
        with open(host, "rb") as file:
            self.assertFalse(any(file.read()))

    def test_a_second_name_of_a_file_of_root_is_refused(self):
        host = os.path.join(self.l.state, "host.img")
        with open(host, "wb") as file:
            file.truncate(SIZE)
        os.chmod(host, 0o600)
        self.put(lambda path: os.link(host, path))
        self.assertIn("not a file of root's alone", self.refused(data=SIZE))

    def test_a_link_in_the_place_of_the_folder_is_not_followed(self):
        os.mkdir(os.path.join(self.l.state, "elsewhere"))
        os.symlink("elsewhere", os.path.join(self.l.state, "data"))
        self.refused(data=SIZE)
        self.assertEqual(os.listdir(os.path.join(self.l.state, "elsewhere")), [])

    def test_an_image_that_is_moved_under_a_folders_name_keeps_its_owner(self):
        folder = os.path.join(self.l.state, "files", "%016x" % 7)
        image, name = os.path.join(self.l.state, "files", "image"), os.path.join(folder, "o")
        os.makedirs(folder)
        with open(image, "wb"):
            os.chmod(image, 0o600)
        over = threading.Event()

        def move():
            while not over.is_set():
                for pair in ((image, name), (name, image)):
                    with contextlib.suppress(OSError):
                        os.rename(*pair)
        mover = threading.Thread(target=move)
        mover.start()
        try:
            for _ in range(60):
                with contextlib.suppress(RuntimeError):
                    self.l.stop(self.l.sandbox(), grace_ms=0)
                with contextlib.suppress(OSError):
                    os.rmdir(name)
        finally:
            over.set()
            mover.join()
        owner = [os.stat(path).st_uid for path in (image, name) if os.path.isfile(path)]
        self.assertEqual(owner, [0])

    def test_sizes_out_of_range_are_refused(self):
        self.assertIn("at least 16 MiB", self.refused(data=MIB))
        self.assertIn("is over", self.refused(data=1 << 60))


if __name__ == "__main__":
    unittest.main()
