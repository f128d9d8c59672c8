"""What a handler takes and what kind of function it is, without the `inspect` module (10 ms)."""

CO_VARARGS, CO_VARKEYWORDS = 0x04, 0x08
CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200

PLAIN, GENERATOR, ASYNC, ASYNC_GENERATOR = "plain", "generator", "async", "async_generator"
REQUIRED = object()


class Parameter:
    def __init__(self, name, default, annotation, keyword_only):
        self.name = name
        self.default = default
        self.annotation = annotation
        self.keyword_only = keyword_only


class Signature:
    """`parameters` is None when they cannot be known (functions written in C)."""

    def __init__(self, fn):
        bound, code_owner, given, names = _unwrap(fn)
        code = getattr(code_owner, "__code__", None)
        self.kind = PLAIN if code is None else _kind(code.co_flags)
        self.varargs = code is None or bool(code.co_flags & CO_VARARGS)
        self.parameters = None
        if code is not None:
            self.parameters = _parameters(code_owner, code)[bound + given :]
            self.parameters = [p for p in self.parameters if p.name not in names]

    @property
    def is_generator(self):
        return self.kind in (GENERATOR, ASYNC_GENERATOR)

    def needed(self):
        """How many positional values it must get, and at most (None: any number)."""
        if self.parameters is None:
            return 0, None
        positional = [p for p in self.parameters if not p.keyword_only]
        least = sum(1 for p in positional if p.default is REQUIRED)
        return least, (None if self.varargs else len(positional))


def _unwrap(fn):
    """(arguments taken by binding, the function below, positional and named ones of partial)"""
    bound, given, names = 0, 0, set()
    while True:
        if hasattr(fn, "func") and hasattr(fn, "keywords"):  # functools.partial
            given += len(fn.args)
            names |= set(fn.keywords)
            fn = fn.func
        elif hasattr(fn, "__func__"):
            bound += getattr(fn, "__self__", None) is not None
            fn = fn.__func__
        elif isinstance(fn, type):
            return 1, getattr(fn.__init__, "__code__", None) and fn.__init__, given, names
        elif not hasattr(fn, "__code__") and hasattr(type(fn).__call__, "__code__"):
            return bound + 1, type(fn).__call__, given, names
        elif hasattr(fn, "__wrapped__") and _passes_through(fn):
            # A decorator that takes (*args, **kwargs): what is under it says the names.
            fn = fn.__wrapped__
        else:
            return bound, fn, given, names


def _passes_through(fn):
    code = getattr(fn, "__code__", None)
    if code is None:
        return True
    return code.co_argcount == 0 and _kind(code.co_flags) == PLAIN


def _kind(flags):
    if flags & CO_ASYNC_GENERATOR:
        return ASYNC_GENERATOR
    if flags & CO_COROUTINE:
        return ASYNC
    return GENERATOR if flags & CO_GENERATOR else PLAIN


def _parameters(fn, code):
    annotations = getattr(fn, "__annotations__", None) or {}
    defaults = fn.__defaults__ or ()
    keyword_defaults = fn.__kwdefaults__ or {}
    first_default = code.co_argcount - len(defaults)
    parameters = []
    for index, name in enumerate(code.co_varnames[: code.co_argcount]):
        default = defaults[index - first_default] if index >= first_default else REQUIRED
        parameters.append(Parameter(name, default, _resolve(annotations.get(name), fn), False))
    end = code.co_argcount + code.co_kwonlyargcount
    for name in code.co_varnames[code.co_argcount : end]:
        default = keyword_defaults.get(name, REQUIRED)
        parameters.append(Parameter(name, default, _resolve(annotations.get(name), fn), True))
    return parameters


def _resolve(annotation, fn):
    """`from __future__ import annotations` leaves text; one that does not resolve is none."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, fn.__globals__)  # the app's own text, in the app's own process
    except Exception:
        return None


def names_of(annotation):
    """The types in `X`, `Optional[X]`, `X | None`."""
    return [annotation] + list(getattr(annotation, "__args__", None) or ())


class Special:
    """Base of what a handler gets by asking for it (Request, EventData, Progress)."""

    @classmethod
    def for_call(cls, call, default):
        raise NotImplementedError


class Binder:
    """Puts input values and special arguments where the function expects them."""

    def __init__(self, fn):
        self.fn = fn
        self.signature = Signature(fn)
        self.specials = []  # (position or name, class, default)
        position = 0
        for parameter in self.signature.parameters or ():
            special = _special_of(parameter)
            if special is not None:
                where = parameter.name if parameter.keyword_only else position
                self.specials.append((where, special, parameter.default))
            position += not parameter.keyword_only

    def bind(self, values, call):
        """(positional, named) for the call; `values` is not changed."""
        if not self.specials:
            return values, {}
        values, named = list(values), {}
        for where, special, default in self.specials:
            value = special.for_call(call, default)
            if isinstance(where, str):
                named[where] = value
                continue
            positional = [p for p in self.signature.parameters if not p.keyword_only]
            while len(values) < where and positional[len(values)].default is not REQUIRED:
                values.append(positional[len(values)].default)
            values.insert(where, value)
        return values, named

    def input_names(self):
        """Names of the parameters that inputs fill, in order."""
        special = {where for where, _, _ in self.specials}
        if self.signature.parameters is None:
            return []
        positional = [p for p in self.signature.parameters if not p.keyword_only]
        return [p for i, p in enumerate(positional) if i not in special]

    def complain(self, count):
        """A sentence when `count` inputs cannot fit, else None."""
        least, most = self.signature.needed()
        taken = sum(1 for where, _, _ in self.specials if not isinstance(where, str))
        required = sum(1 for p in self.input_names() if p.default is REQUIRED)
        name = getattr(self.fn, "__name__", type(self.fn).__name__)
        if count < required:
            return "%s() needs %d input values, the event gives %d" % (name, required, count)
        if most is not None and count > most - taken:
            return "%s() takes %d input values, the event gives %d" % (name, most - taken, count)
        return None


def _special_of(parameter):
    default_type = type(parameter.default)
    if isinstance(parameter.default, Special):
        return default_type
    for annotation in names_of(parameter.annotation):
        if isinstance(annotation, type) and issubclass(annotation, Special):
            return annotation
    return None
