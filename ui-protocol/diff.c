#include "ui-protocol/diff.h"

#include <errno.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/scan.h"

/*
 * Appending to a string or inserting into an array copies it: ten thousand small edits of a large
 * value would be gigabytes. Bytes that may be moved by one call.
 */
#define WORK_MAX (16 * SP_DIFF_VALUE_MAX)

/* One call; `why` is set at the first thing that is wrong. */
struct editor {
    size_t work;
    size_t edits;
    enum sp_err_kind kind;
    const char *why;
};

static bool fail(struct editor *ed, enum sp_err_kind kind, const char *why)
{
    ed->kind = kind;
    ed->why = why;
    return false;
}

static bool charge(struct editor *ed, size_t bytes)
{
    ed->work += bytes;
    return ed->work <= WORK_MAX || fail(ed, SP_ERR_LIMIT, "they move too many bytes");
}

/* True when brackets nest at most `max` levels deep in `value`. */
static bool is_shallow(const json_t *value, size_t max)
{
    const char *key;
    json_t *item;
    size_t i;

    if (!json_is_array(value) && !json_is_object(value))
        return true;
    if (max == 0)
        return false;
    json_array_foreach ((json_t *)(uintptr_t)value, i, item)
        if (!is_shallow(item, max - 1))
            return false;
    json_object_foreach ((json_t *)(uintptr_t)value, key, item)
        if (!is_shallow(item, max - 1))
            return false;
    return true;
}

/* A place in a tree: an element of an array, a member of an object, or the root. */
struct place {
    json_t **root;
    json_t *parent;  /* NULL for the root */
    const char *key; /* for objects */
    size_t index;    /* for arrays */
};

static json_t *get(const struct place *at)
{
    if (!at->parent)
        return *at->root;
    return at->key ? json_object_get(at->parent, at->key) : json_array_get(at->parent, at->index);
}

static bool set(struct editor *ed, const struct place *at, json_t *consumed)
{
    int r;

    if (!at->parent) {
        json_decref(*at->root);
        *at->root = consumed;
        return true;
    }
    r = at->key ? json_object_set_new(at->parent, at->key, consumed)
                : json_array_set_new(at->parent, at->index, consumed);
    return r == 0 || fail(ed, SP_ERR_INVALID, "an index is out of range");
}

/* The step `step` from `parent` into `*at`. */
static bool step_into(struct editor *ed, json_t *parent, const json_t *step, struct place *at)
{
    at->parent = parent;
    at->key = NULL;
    if (json_is_object(parent) && json_is_string(step)) {
        at->key = json_string_value(step);
        return true;
    }
    if (json_is_array(parent) && json_is_integer(step) && json_integer_value(step) >= 0) {
        at->index = (size_t)json_integer_value(step);
        return true;
    }
    return fail(ed, SP_ERR_INVALID, "a path does not fit the value");
}

static bool walk(struct editor *ed, const json_t *path, struct place *at)
{
    size_t n = json_array_size(path);

    if (!json_is_array(path) || n >= SP_SCAN_DEPTH)
        return fail(ed, SP_ERR_INVALID, "a path is no list of at most 63 steps");
    for (size_t i = 0; i < n; i++) {
        json_t *parent = get(at);

        if (!parent || !step_into(ed, parent, json_array_get(path, i), at))
            return ed->why ? false : fail(ed, SP_ERR_INVALID, "a path leads nowhere");
    }
    return true;
}

/* --- the four actions ------------------------------------------------------------------------- */

static bool replace(struct editor *ed, const struct place *at, const json_t *value)
{
    return set(ed, at, json_deep_copy(value)); /* a copy: later edits must not reach into `ops` */
}

static bool append(struct editor *ed, const struct place *at, const json_t *value)
{
    const json_t *old = get(at);
    SP_AUTO_BUF struct sp_buf text = {0};

    if (!json_is_string(old) || !json_is_string(value))
        return fail(ed, SP_ERR_INVALID, "append needs two strings");
    if (!charge(ed, json_string_length(old)))
        return false;
    (void)sp_buf_append(&text, json_string_value(old), json_string_length(old));
    (void)sp_buf_append(&text, json_string_value(value), json_string_length(value));
    return set(ed, at, json_stringn_nocheck(sp_buf_str(&text), text.len));
}

static bool add(struct editor *ed, const struct place *at, const json_t *value)
{
    if (!at->parent)
        return fail(ed, SP_ERR_INVALID, "add needs a path");
    if (at->key)
        return set(ed, at, json_deep_copy(value));
    if (!charge(ed, json_array_size(at->parent) * sizeof(json_t *)))
        return false;
    return json_array_insert_new(at->parent, at->index, json_deep_copy(value)) == 0 ||
           fail(ed, SP_ERR_INVALID, "an index is out of range");
}

static bool delete (struct editor *ed, const struct place *at, const json_t *value)
{
    int r;

    (void)value;
    if (!at->parent)
        return fail(ed, SP_ERR_INVALID, "delete needs a path");
    if (!charge(ed, json_array_size(at->parent) * sizeof(json_t *)))
        return false;
    r = at->key ? json_object_del(at->parent, at->key) : json_array_remove(at->parent, at->index);
    return r == 0 || fail(ed, SP_ERR_INVALID, "nothing is there to delete");
}

static const struct {
    const char *name;
    bool (*run)(struct editor *ed, const struct place *at, const json_t *value);
} actions[] = {{"replace", replace}, {"append", append}, {"add", add}, {"delete", delete}};

static bool apply_edit(struct editor *ed, json_t **root, const json_t *edit)
{
    const char *action = json_string_value(json_array_get(edit, 0));
    const json_t *path = json_array_get(edit, 1);
    const json_t *value = json_array_get(edit, 2);
    struct place at = {.root = root};

    if (json_array_size(edit) != 3 || !action)
        return fail(ed, SP_ERR_INVALID, "an edit is not [action, path, value]");
    if (++ed->edits > SP_DIFF_EDITS_MAX)
        return fail(ed, SP_ERR_LIMIT, "there are more than 10000");
    if (!walk(ed, path, &at))
        return false;
    /* So that no number of yields builds a tree whose depth ends our recursion. */
    if (!is_shallow(value, SP_SCAN_DEPTH - 1 - json_array_size(path)))
        return fail(ed, SP_ERR_LIMIT, "the value would nest deeper than 64 levels");

    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(action, actions[i].name) == 0)
            return actions[i].run(ed, &at, value);
    return fail(ed, SP_ERR_INVALID, "an action is not known");
}

/* One output: takes it out of the array, so that an edit of its root is an edit like any other. */
static bool apply_output(struct editor *ed, json_t *values, size_t i, const json_t *edits)
{
    json_t *root = json_incref(json_array_get(values, i));
    bool ok =
        json_is_array(edits) || fail(ed, SP_ERR_INVALID, "the edits of an output are no list");

    for (size_t n = 0; ok && n < json_array_size(edits); n++)
        ok = apply_edit(ed, &root, json_array_get(edits, n));
    (void)json_array_set_new(values, i, root);
    return ok;
}

int sp_diff_apply(json_t **value, const json_t *ops, struct sp_error *err)
{
    struct editor ed = {.kind = SP_ERR_INVALID};
    size_t n = json_array_size(*value);
    bool ok = true;

    if (!json_is_array(*value) || !json_is_array(ops) || json_array_size(ops) != n)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "apply edits: expected one list of edits for each of %zu outputs", n);
    for (size_t i = 0; ok && i < n; i++)
        ok = apply_output(&ed, *value, i, json_array_get(ops, i));
    if (ok && json_dumpb(*value, NULL, 0, JSON_COMPACT) > SP_DIFF_VALUE_MAX)
        ok = fail(&ed, SP_ERR_LIMIT, "the values would be longer than 1 MiB");
    return ok ? 0 : sp_error_set(err, ed.kind, 0, "apply edits: %s", ed.why);
}

static json_t *load(struct sp_slice raw, struct sp_error *err)
{
    json_error_t at;
    json_t *value;

    /* jansson recurses; the scanner's depth limit is far below what the stack holds. */
    if (raw.len > 2 * SP_DIFF_VALUE_MAX || sp_scan_valid(raw, err) < 0) {
        (void)sp_error_set(err, SP_ERR_LIMIT, 0, "apply edits: the JSON is too large or too deep");
        return NULL;
    }
    value = json_loadb(raw.ptr, raw.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, &at);
    if (!value)
        (void)sp_error_set(err, SP_ERR_INVALID, 0, "apply edits: byte %d: %s", at.position,
                           at.text);
    return value;
}

int sp_diff_fold(struct sp_slice data, struct sp_slice ops, struct sp_buf *out,
                 struct sp_error *err)
{
    SP_AUTO_JSON json_t *value = load(data, err);
    SP_AUTO_JSON json_t *edits = value ? load(ops, err) : NULL;
    size_t before = out->len;
    int r;

    if (!edits)
        return -EINVAL;
    r = sp_diff_apply(&value, edits, err);
    if (r < 0)
        return r;
    if (sp_json_dump(value, out))
        return 0;
    out->len = before;
    return sp_error_set(err, SP_ERR_LIMIT, 0, "apply edits: the buffer is full");
}
