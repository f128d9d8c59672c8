"""What the programs share: one line `name RESULT` for each attempt."""

import errno
import os


def attempt(name, action):
    try:
        result = action()
        print(name, "OK" if not isinstance(result, (str, int)) or result is True else result, flush=True)
    except OSError as error:
        print(name, errno.errorcode.get(error.errno, str(error.errno)) if error.errno else "timeout", flush=True)


def write(path, text="x"):
    def action():
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return action


def opened(path, flags=os.O_RDWR):
    return lambda: os.close(os.open(path, flags))
