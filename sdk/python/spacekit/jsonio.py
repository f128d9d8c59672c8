"""JSON text to values and back, by the interpreter's C code and without its `json` package.

`import json` pulls in `re` and `enum`, half of what a bare interpreter needs to start; the C
scanner and encoder below it need neither. Where they are missing, the package is used.
"""


def _clean(value):
    """A copy in which NaN and Infinity are None, and keys are strings as JSON wants them."""
    if isinstance(value, float):
        return value if value - value == 0.0 else None
    if isinstance(value, dict):
        return {_key(key): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(item) for item in value]
    return value


def _key(key):
    if isinstance(key, float) and key - key != 0.0:
        return "null"
    return key


def default(value):
    """What is not JSON but has an obvious form in it: numpy values, paths, sets, dates."""
    for method in ("tolist", "item"):
        if hasattr(value, method):
            return _clean(getattr(value, method)())
    if hasattr(value, "__fspath__"):
        return value.__fspath__()
    if isinstance(value, (set, frozenset)):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError("a value of type %s cannot be sent: it has no JSON form" % type(value).__name__)


def _by_c():
    import _json

    class Scanner:
        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        memo = {}

        @staticmethod
        def parse_constant(name):
            raise ValueError(name + " is not JSON")

    scan = _json.make_scanner(Scanner)

    def encode(value):
        # Built per call: the encoder remembers in `markers` which containers are open, and that
        # dict must not be shared between threads.
        encoder = _json.make_encoder(
            {}, default, _json.encode_basestring, None, ":", ",", False, False, False
        )
        return "".join(encoder(value, 0))

    def decode(text):
        text = text.strip()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError("not JSON") from None
        if end != len(text):
            raise ValueError("not JSON: something follows the value")
        return value

    return encode, decode


def _by_package():
    import json

    encoder = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=default
    )
    return encoder.encode, json.loads


try:
    _encode, decode = _by_c()
except (ImportError, AttributeError, TypeError):
    _encode, decode = _by_package()


def encode(value):
    """JSON text on one line. NaN and Infinity become null. Raises TypeError or ValueError."""
    try:
        return _encode(value)
    except ValueError:
        # NaN is rare: pay for the copy only when it is there. A second failure is a cycle.
        return _encode(_clean(value))
    except TypeError as error:
        # Keys that are not str, int, float, bool or None are refused by the encoder.
        if "keys must be" not in str(error):
            raise
        return _encode(_string_keys(value))


def _string_keys(value):
    if isinstance(value, dict):
        simple = (str, int, float, bool, type(None))
        return {
            key if isinstance(key, simple) else str(key): _string_keys(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_string_keys(item) for item in value]
    return value


def to_bytes(text):
    """UTF-8; a lone surrogate (half a character, possible in str) becomes a question mark."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
