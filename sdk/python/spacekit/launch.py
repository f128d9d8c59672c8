"""Arguments of launch(): what is enforced, refused, ignored."""

from . import context
from .errors import unsupported

# Silence here would open what the author wanted closed.
SECURITY = (
    "auth auth_message auth_dependency allowed_paths blocked_paths max_file_size strict_cors "
    "ssl_keyfile ssl_certfile ssl_keyfile_password ssl_verify"
).split()
# spacesd does these itself, or they change only the looks or the author's own machine.
IGNORED = (
    "inline inbrowser share debug prevent_thread_lock quiet height width favicon_path "
    "server_name server_port root_path app_kwargs state_session_capacity share_server_address "
    "share_server_protocol share_server_tls_certificate enable_monitoring node_server_name "
    "node_port ssr_mode pwa mcp_server _frontend i18n theme css css_paths js head head_paths "
    "footer_links num_workers"
).split()


def check_arguments(blocks, positional, arguments):
    if positional:
        raise TypeError("launch() takes named arguments only")
    ignored = []
    for name, value in arguments.items():
        if name == "max_threads":
            blocks.max_threads = int(value)
        elif name == "show_error":
            blocks.show_error = bool(value)
        elif name in SECURITY:
            _refuse_security(name, value)
        elif name in IGNORED:
            if value:
                ignored.append(name)
        else:
            raise TypeError("launch() has no argument %r" % name)
    if ignored:
        context.say_once("launch(%s) ignored: spacesd serves the page" % ", ".join(sorted(ignored)))


def _refuse_security(name, value):
    harmless = value is None or value == [] or (name in ("strict_cors", "ssl_verify") and value)
    if not harmless:
        raise unsupported("launch(%s=...)" % name)
