"""Takes as much as it can of one thing: python3 hogs.py KIND. Says how far it came."""
import mmap
import os
import sys
import threading
import time

MIB = 1 << 20


def fill(folder):
    count = 0
    try:
        with open(os.path.join(folder, "fill"), "wb", buffering=0) as f:
            while True:
                f.write(b"x" * MIB)
                count += 1
    except OSError as error:
        print("stopped", os.strerror(error.errno).replace(" ", "_"), count, flush=True)


def inodes(folder):
    count = 0
    try:
        while True:
            os.close(os.open(os.path.join(folder, "f%d" % count), os.O_CREAT | os.O_WRONLY))
            count += 1
    except OSError as error:
        print("stopped", os.strerror(error.errno).replace(" ", "_"), count, flush=True)


def memory():
    kept = []
    while True:
        kept.append(bytearray(4 * MIB))


def memfd():
    fd = os.memfd_create("hog")
    while True:
        os.write(fd, b"x" * MIB)


def shared():
    kept = []
    while True:
        part = mmap.mmap(-1, 4 * MIB)
        part.write(b"x" * (4 * MIB))
        kept.append(part)


def pipes():
    kept = []
    try:
        while True:
            pair = os.pipe2(os.O_NONBLOCK)
            kept.append(pair)
            try:
                while True:
                    os.write(pair[1], b"x" * 65536)
            except BlockingIOError:
                pass
    except OSError as error:
        print("stopped", os.strerror(error.errno).replace(" ", "_"), len(kept), flush=True)


def maps():
    kept = []
    try:
        while True:
            kept.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ))
            if len(kept) > 200000:
                break
    except OSError as error:
        print("stopped", os.strerror(error.errno).replace(" ", "_"), len(kept), flush=True)


def forks():
    count = 0
    try:
        while True:
            if os.fork() == 0:
                time.sleep(600)
                os._exit(0)
            count += 1
    except OSError as error:
        print("stopped", os.strerror(error.errno).replace(" ", "_"), count, flush=True)
    time.sleep(600)


def threads():
    count = 0
    try:
        while True:
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
            count += 1
    except RuntimeError as error:
        print("stopped", str(error).replace(" ", "_"), count, flush=True)
    time.sleep(600)


def forkloop():
    """Each process forks and goes: no list of pids is ever complete."""
    print("looping", flush=True)
    while True:
        try:
            if os.fork() != 0:
                os._exit(0)
        except OSError:
            pass


def burn():
    """64 threads of C: sha256 lets go of the interpreter lock."""
    import hashlib
    data = b"x" * (8 * MIB)

    def loop():
        while True:
            hashlib.sha256(data).digest()
    print("burning", flush=True)
    for _ in range(64):
        threading.Thread(target=loop, daemon=True).start()
    time.sleep(600)


KINDS = {"tmp": lambda: fill("/tmp"), "home": lambda: fill("/home/user"), "app": lambda: fill("/home/user/app"),
         "shm": lambda: fill("/dev/shm"), "state": lambda: fill("/run/space/state"),
         "inodes": lambda: inodes("/tmp"), "memory": memory, "memfd": memfd, "shared": shared,
         "pipes": pipes, "maps": maps, "forks": forks, "threads": threads, "forkloop": forkloop, "burn": burn}
KINDS[sys.argv[1]]()
