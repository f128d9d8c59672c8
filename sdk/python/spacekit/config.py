"""The documents that clients read: /config, /info, and the worker's own list of functions."""

from . import GRADIO_VERSION


def page_config(root):
    layout = {"id": root.id, "children": [_layout(child) for child in root.children]}
    blocks = [root.blocks[number] for number in sorted(root.blocks)]
    return {
        "version": GRADIO_VERSION,
        "api_prefix": "/gradio_api",
        "mode": root.mode,
        "dev_mode": False,
        "vibe_mode": False,
        "analytics_enabled": False,
        "components": [block.config() for block in blocks],
        "css": None,
        "connect_heartbeat": _needs_heartbeat(root),
        "js": None,
        "head": None,
        "title": root.title or "Gradio",
        "enable_queue": True,
        "show_error": root.show_error,
        "footer_links": ["api"],
        "run_history": False,
        "is_colab": False,
        "max_file_size": None,
        "stylesheets": [],
        "theme": "default",
        "protocol": "sse_v3",
        "body_css": {
            "body_background_fill": "white",
            "body_text_color": "#27272a",
            "body_background_fill_dark": "#0f0f11",
            "body_text_color_dark": "#f4f4f5",
        },
        "fill_height": False,
        "fill_width": False,
        "theme_hash": "spacekit",
        "pwa": False,
        "pages": [["", "Home", True]],
        "page": {
            "": {
                "layout": layout,
                "components": [block.id for block in blocks],
                "dependencies": [dependency.id for dependency in root.dependencies],
            }
        },
        "mcp_server": False,
        "i18n_translations": None,
        "dependencies": [_dependency(dependency) for dependency in root.dependencies],
        "layout": layout,
    }


def _layout(block):
    entry = {"id": block.id}
    if hasattr(block, "children"):
        entry["children"] = [_layout(child) for child in block.children]
    return entry


def _needs_heartbeat(root):
    """As Gradio: only apps that keep something per session want to hear that a visitor left."""
    has_state = any(block.type == "state" for block in root.blocks.values())
    return has_state or any(
        name == "unload" for dep in root.dependencies for _, name in dep.targets
    )


def _dependency(dependency):
    options = dependency.options
    return {
        "id": dependency.id,
        "targets": [
            [block.id if block is not None else None, name] for block, name in dependency.targets
        ],
        "inputs": [block.id for block in dependency.inputs],
        "outputs": [block.id for block in dependency.outputs],
        "backend_fn": dependency.fn is not None,
        "js": options["js"],
        "queue": options["queue"] and dependency.fn is not None,
        "api_name": dependency.api_name,
        "api_description": options["api_description"],
        "scroll_to_output": options["scroll_to_output"],
        "show_progress": options["show_progress"],
        "show_progress_on": _ids(options["show_progress_on"]),
        "batch": False,
        "max_batch_size": 4,
        "cancels": [other.id for other in options["cancels"]],
        "types": {"generator": dependency.is_generator, "cancel": bool(options["cancels"])},
        "collects_event_data": bool(options["collects_event_data"]),
        "trigger_after": options["trigger_after"],
        "trigger_only_on_success": options["trigger_only_on_success"],
        "trigger_only_on_failure": options["trigger_only_on_failure"],
        "trigger_mode": options["trigger_mode"],
        "api_visibility": visibility(dependency),
        "rendered_in": None,
        "render_id": None,
        "connection": "sse",
        "time_limit": None,
        "stream_every": 0.5,
        "event_specific_args": None,
        "component_prop_inputs": [],
        "js_implementation": None,
    }


def _ids(blocks):
    if blocks is None:
        return None
    return [block.id for block in (blocks if isinstance(blocks, (list, tuple)) else [blocks])]


def visibility(dependency):
    if dependency.fn is None or dependency.api_name is None:
        return "private"
    return dependency.options["api_visibility"]


def api_info(root):
    named = {}
    for dependency in root.dependencies:
        if visibility(dependency) != "public":
            continue
        named["/" + dependency.api_name] = {
            "parameters": _parameters(dependency),
            "returns": [_value(block) for block in dependency.outputs if not block.skip_api],
            "api_visibility": "public",
            "description": dependency.options["api_description"] or _doc(dependency.fn),
        }
    return {"named_endpoints": named, "unnamed_endpoints": {}}


def _doc(fn):
    text = getattr(fn, "__doc__", None) or ""
    return " ".join(text.split("\n\n")[0].split()) if hasattr(fn, "__code__") else ""


def _value(block):
    info = block.api_info()
    return {
        "label": block.label or _default_label(block),
        "type": info,
        "python_type": {"type": block.PYTHON, "description": ""},
        "component": type(block).__name__,
    }


def _default_label(block):
    return "value_%d" % block.id


RESERVED = ("api_name", "fn_index", "result_callbacks")


def _parameters(dependency):
    from .signature import REQUIRED

    names = dependency.binder.input_names()
    parameters = []
    for index, block in enumerate(dependency.inputs):
        if block.skip_api:
            continue
        known = names[index] if index < len(names) and not dependency.options["by_set"] else None
        name = known.name if known and known.name not in RESERVED else "param_%d" % index
        entry = _value(block)
        entry["parameter_name"] = name
        initial = block.postprocess(block.value)
        optional = known is not None and known.default is not REQUIRED and known.default is None
        entry["parameter_has_default"] = initial is not None or optional
        entry["parameter_default"] = initial
        entry["example_input"] = block.example()
        parameters.append(entry)
    return parameters


def functions(root):
    """What the daemon needs to queue and dispatch, one entry per dependency."""
    groups, entries = {}, []
    limits = _group_limits(root)
    for dependency in root.dependencies:
        key = group_key(dependency)
        group = groups.setdefault(key, len(groups))
        entries.append(
            {
                "fn": dependency.id,
                "api_name": dependency.api_name,
                "queue": bool(dependency.options["queue"] and dependency.fn is not None),
                "group": group,
                "limit": limits[key],
                "inputs": len(dependency.inputs),
                "outputs": len(dependency.outputs),
                "state_inputs": _positions(dependency.inputs),
                "generator": dependency.is_generator,
                "api_visibility": visibility(dependency),
                "backend": dependency.fn is not None,
                "cancels": [other.id for other in dependency.options["cancels"]],
            }
        )
    return entries


def _positions(blocks):
    return [index for index, block in enumerate(blocks) if block.type == "state"]


def group_key(dependency):
    """One queue per concurrency_id; without one, per function object, as in Gradio."""
    named = dependency.options["concurrency_id"]
    if named is not None:
        return "id:%s" % named
    return id(dependency.fn) if dependency.fn is not None else ("none", dependency.id)


def _group_limits(root):
    """Several limits on one group: the lowest wins; None is no limit."""
    limits = {}
    for dependency in root.dependencies:
        limit = dependency.options["concurrency_limit"]
        limit = root.default_limit if limit == "default" else limit
        key = group_key(dependency)
        known = limits.get(key, limit)
        limits[key] = known if limit is None else limit if known is None else min(known, limit)
    return limits
