"""The imports that an app begins with, done ahead in its zygote.

Only the beginning of the file: what comes after a statement that does something may depend on it.
Setting an environment variable to a constant is done too, because that is where it usually stands:
before the import that reads it.
"""

import _ast as ast  # the whole `ast` costs 5 ms
import os
import sys

from .context import Building


def preload(app_file):
    """Never raises: what cannot be imported here is met again, and told, by the worker."""
    path = os.path.abspath(app_file)
    folder = os.getcwd()
    if not path.startswith(folder + os.sep):
        return
    try:
        with open(path, "rb") as file:
            tree = compile(file.read(), path, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    Building.app_folder = folder
    sys.argv[:] = [app_file]
    main = type(sys)("__main__")
    main.__file__ = path
    sys.modules["__main__"] = main
    for step in steps(tree.body):
        try:
            step()
        except BaseException:
            return  # what follows in the file may not be reached either


def steps(body):
    """What the beginning of a module does, as functions to call in its order."""
    for statement in body:
        if _is_import(statement):
            yield _import(statement)
        elif _is_optional_import(statement):
            yield _try_import(statement.body)
        elif _is_environment(statement):
            yield _set(statement)
        elif not _is_inert(statement):
            return


def _is_import(statement):
    if isinstance(statement, ast.ImportFrom):
        return statement.level == 0
    return isinstance(statement, ast.Import)


def _import(statement):
    if isinstance(statement, ast.ImportFrom):
        parts = [name.name for name in statement.names]
        return lambda: __import__(statement.module, fromlist=parts)
    return lambda: [__import__(name.name) for name in statement.names]


def _is_optional_import(statement):
    """`try: import a` and handlers that do nothing an import could notice."""
    return (
        isinstance(statement, ast.Try)
        and all(map(_is_import, statement.body))
        and all(_is_inert(each) for handler in statement.handlers for each in handler.body)
        and not statement.orelse
        and not statement.finalbody
    )


def _try_import(statements):
    def step():
        try:
            for statement in statements:
                _import(statement)()
        except ImportError:
            pass

    return step


def _is_inert(statement):
    """Nothing that an import could notice."""
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Assign):
        return isinstance(statement.value, ast.Constant) and all(
            isinstance(target, ast.Name) for target in statement.targets
        )
    return False


def _is_environment(statement):
    """`os.environ["NAME"] = "value"`"""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return False
    target = statement.targets[0]
    return (
        isinstance(target, ast.Subscript)
        and isinstance(target.value, ast.Attribute)
        and target.value.attr == "environ"
        and isinstance(target.value.value, ast.Name)
        and target.value.value.id == "os"
        and isinstance(target.slice, ast.Constant)
        and isinstance(target.slice.value, str)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _set(statement):
    key, value = statement.targets[0].slice.value, statement.value.value
    return lambda: os.environ.__setitem__(key, value)
