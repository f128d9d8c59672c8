"""Edits between two JSON values, in the form Gradio's clients apply (sse_v2 and later)."""

SCALARS = (str, int, float, bool, type(None))


def edits(old, new):
    """[[action, path, value], ...] that turn `old` into `new`; [] when they are equal.

    Both must be plain JSON values that nobody changes meanwhile.
    """
    found = []
    _compare(old, new, [], found)
    return found


def _compare(old, new, path, found):
    if old is new:
        return
    if old.__class__ is not new.__class__:
        found.append(["replace", path, new])
    elif isinstance(new, str):
        if old != new:
            if new.startswith(old) and old:
                found.append(["append", path, new[len(old) :]])
            else:
                found.append(["replace", path, new])
    elif isinstance(new, list):
        _compare_lists(old, new, path, found)
    elif isinstance(new, dict):
        _compare_objects(old, new, path, found)
    elif old != new:
        found.append(["replace", path, new])


def _compare_lists(old, new, path, found):
    common = min(len(old), len(new))
    for index in range(common):
        _compare(old[index], new[index], path + [index], found)
    # Each delete shifts what follows, so the same index is deleted again and again.
    for _ in range(common, len(old)):
        found.append(["delete", path + [common], None])
    for index in range(common, len(new)):
        found.append(["add", path + [index], new[index]])


def _compare_objects(old, new, path, found):
    for key in old:
        if key not in new:
            found.append(["delete", path + [key], None])
    for key, value in new.items():
        if key in old:
            _compare(old[key], value, path + [key], found)
        else:
            found.append(["add", path + [key], value])


def apply(value, changes):
    """What a client does with edits; the tests' other half. Returns the new value."""
    for action, path, operand in changes:
        if not path:
            value = value + operand if action == "append" else operand
            continue
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        key = path[-1]
        if action == "replace":
            parent[key] = operand
        elif action == "append":
            parent[key] += operand
        elif action == "add":
            if isinstance(parent, list):
                parent.insert(key, operand)
            else:
                parent[key] = operand
        else:
            del parent[key]
    return value
