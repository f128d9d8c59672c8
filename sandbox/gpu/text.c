/* The text form of slots and of their use: see slot.h. Hostile until it is parsed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "sandbox/gpu/slot.h"

#define MAJOR_MAX 4095
#define MINOR_MAX 1048575

static int bad(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INVALID, 0, "GPU slots: %s", what);
}

static bool only_known(const json_t *obj, const char *const *known, size_t n)
{
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)obj, key, value) {
        size_t i = 0;

        while (i < n && strcmp(key, known[i]) != 0)
            i++;
        if (i == n)
            return false;
    }
    return true;
}

/* Printable ASCII that needs no quoting anywhere; spaces only where a person reads it. */
static bool is_plain(const char *text, bool spaces)
{
    for (const char *p = text; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              strchr("._:/=,+@-", *p) || (spaces && strchr(" ()[];'", *p))))
            return false;
    return true;
}

static uint64_t at_most(uint64_t bytes)
{
    return bytes < SP_GPU_BYTES_MAX ? bytes : SP_GPU_BYTES_MAX;
}

static bool take_text(const json_t *obj, const char *key, bool spaces, char *ret, size_t size)
{
    const char *text = "";

    if (sp_json_get_str(obj, key, &text, NULL) < 0 || strlen(text) >= size ||
        !is_plain(text, spaces))
        return false;
    (void)snprintf(ret, size, "%s", text);
    return true;
}

/* Absolute, no "." or ".." in it. */
static bool is_path(const char *path)
{
    size_t len = strlen(path);

    return path[0] == '/' && len > 1 && !strstr(path, "//") && !strstr(path, "/./") &&
           !strstr(path, "/../") && path[len - 1] != '/' &&
           !(len >= 3 && strcmp(path + len - 3, "/..") == 0) &&
           !(len >= 2 && strcmp(path + len - 2, "/.") == 0);
}

bool sp_gpu_id_may(const char *id)
{
    return id[0] && is_plain(id, false);
}

bool sp_gpu_mount_may(const char *host, const char *inside)
{
    return is_plain(host, false) && is_path(host) && is_plain(inside, false) && is_path(inside);
}

bool sp_gpu_env_may(const char *value)
{
    return is_plain(value, false);
}

/* NULL when the key holds something else than an array of at most `max`; an empty one if absent. */
static const json_t *array_of(const json_t *obj, const char *key, size_t max, bool *ret_ok)
{
    const json_t *array = json_object_get(obj, key);

    if (array && (!json_is_array(array) || json_array_size(array) > max))
        *ret_ok = false;
    return *ret_ok ? array : NULL;
}

static int parse_node(const json_t *item, struct sp_gpu_slot *slot, struct sp_error *err)
{
    static const char *const known[] = {"path", "major", "minor"};
    int64_t major = -1, minor = -1;
    char path[sizeof(slot->nodes[0].path)];

    if (!json_is_object(item) || !only_known(item, known, SP_LEN(known)) ||
        !take_text(item, "path", false, path, sizeof(path)) || !is_path(path) ||
        strncmp(path, "/dev/", 5) != 0)
        return bad(err, "a device node is not below /dev");
    if (sp_json_get_int(item, "major", 0, MAJOR_MAX, &major, err) < 0 ||
        sp_json_get_int(item, "minor", 0, MINOR_MAX, &minor, err) < 0 || major < 0 || minor < 0)
        return bad(err, "a device node has no number");
    if (!sp_gpu_slot_add_node(slot, path, (uint32_t)major, (uint32_t)minor))
        return bad(err, "a device node is there twice");
    return 0;
}

static int parse_env(const json_t *item, struct sp_gpu_slot *slot, struct sp_error *err)
{
    const char *text = json_string_value(item), *equals = text ? strchr(text, '=') : NULL;
    char name[64];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name) ||
        !is_plain(text, false))
        return bad(err, "a variable is not NAME=value");
    (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    for (const char *p = name; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || *p == '_' || (p > name && *p >= '0' && *p <= '9')))
            return bad(err, "a variable's name is not [A-Z0-9_]");
    if (!sp_gpu_slot_add_env(slot, name, equals + 1))
        return bad(err, "a variable is too long or there twice");
    return 0;
}

static int parse_kind(const json_t *item, struct sp_gpu_slot *slot, struct sp_error *err)
{
    const char *kind = "";

    if (sp_json_get_str(item, "kind", &kind, err) < 0)
        return err->sys;
    for (int k = SP_GPU_WHOLE; k <= SP_GPU_SHARED; k++)
        if (strcmp(kind, sp_gpu_kind_to_string((enum sp_gpu_kind)k)) == 0)
            slot->kind = (enum sp_gpu_kind)k;
    return slot->kind ? 0 : bad(err, "a kind is not whole, mig or shared");
}

static int parse_parts(const json_t *item, struct sp_gpu_slot *slot, struct sp_error *err)
{
    bool ok = true;
    const json_t *nodes = array_of(item, "nodes", SP_GPU_NODES_MAX, &ok);
    const json_t *env = array_of(item, "env", SP_GPU_ENV_MAX, &ok);
    const json_t *cdi = array_of(item, "cdi", SP_GPU_CDI_MAX, &ok);
    int r = ok ? 0 : bad(err, "a slot has too many parts");

    for (size_t i = 0; r == 0 && i < json_array_size(nodes); i++)
        r = parse_node(json_array_get(nodes, i), slot, err);
    for (size_t i = 0; r == 0 && i < json_array_size(env); i++)
        r = parse_env(json_array_get(env, i), slot, err);
    for (size_t i = 0; r == 0 && i < json_array_size(cdi); i++) {
        const char *name = json_string_value(json_array_get(cdi, i));

        if (!name || strlen(name) >= sizeof(slot->cdi[0]) || !is_plain(name, false))
            return bad(err, "a CDI name is not plain");
        (void)snprintf(slot->cdi[slot->n_cdi++], sizeof(slot->cdi[0]), "%s", name);
    }
    return r;
}

static int parse_slot(const json_t *item, struct sp_gpu_list *list, struct sp_error *err)
{
    static const char *const known[] = {"id",     "kind",  "uuid", "model",
                                        "memory", "nodes", "env",  "cdi"};
    struct sp_gpu_slot slot = {.id = ""};
    int64_t memory = 0;
    int r;

    if (!json_is_object(item) || !only_known(item, known, SP_LEN(known)))
        return bad(err, "a slot is no object or has a key that is not known");
    if (!take_text(item, "id", false, slot.id, sizeof(slot.id)) || !slot.id[0] ||
        !take_text(item, "uuid", false, slot.uuid, sizeof(slot.uuid)) ||
        !take_text(item, "model", true, slot.model, sizeof(slot.model)))
        return bad(err, "an id, uuid or model is too long or not plain");
    if (sp_json_get_int(item, "memory", 0, INT64_MAX, &memory, err) < 0)
        return err->sys ? err->sys : bad(err, "memory is no size");
    slot.memory_bytes = at_most((uint64_t)memory);
    r = parse_kind(item, &slot, err);
    if (r == 0)
        r = parse_parts(item, &slot, err);
    if (r < 0)
        return r;
    if (sp_gpu_list_find(list, slot.id))
        return bad(err, "two slots have one id");
    *sp_gpu_list_add(list) = slot; /* the array was no longer than there is room */
    return 0;
}

static int parse_mount(const json_t *item, struct sp_gpu_list *list, struct sp_error *err)
{
    static const char *const known[] = {"host", "inside"};
    struct sp_gpu_mount mount;

    if (!json_is_object(item) || !only_known(item, known, SP_LEN(known)) ||
        !take_text(item, "host", false, mount.host, sizeof(mount.host)) || !is_path(mount.host) ||
        !take_text(item, "inside", false, mount.inside, sizeof(mount.inside)) ||
        !is_path(mount.inside))
        return bad(err, "a mount is not two absolute paths");
    if (!sp_gpu_list_add_mount(list, mount.host, mount.inside))
        return bad(err, "two mounts have one place");
    return 0;
}

static int parse_list(const json_t *top, struct sp_gpu_list *list, struct sp_error *err)
{
    static const char *const known[] = {"provider", "why", "slots", "mounts", "usage"};
    bool ok = json_is_object(top) && only_known(top, known, SP_LEN(known));
    const json_t *slots = array_of(top, "slots", SP_GPU_SLOTS_MAX, &ok);
    const json_t *mounts = array_of(top, "mounts", SP_GPU_MOUNTS_MAX, &ok);
    int r = 0;

    if (!ok)
        return bad(err, "no object, too many slots or mounts, or a key that is not known");
    if (!take_text(top, "provider", false, list->provider, sizeof(list->provider)) ||
        !take_text(top, "why", true, list->why, sizeof(list->why)))
        return bad(err, "provider or why is too long or not plain");
    for (size_t i = 0; r == 0 && i < json_array_size(slots); i++)
        r = parse_slot(json_array_get(slots, i), list, err);
    for (size_t i = 0; r == 0 && i < json_array_size(mounts); i++)
        r = parse_mount(json_array_get(mounts, i), list, err);
    return r;
}

int sp_gpu_list_parse(struct sp_slice text, struct sp_gpu_list *ret, struct sp_error *err)
{
    SP_AUTO_JSON json_t *top = NULL;
    struct sp_error own;
    int r;

    if (!err)
        err = &own;
    r = sp_json_parse(text, &top, err);
    if (r == 0)
        r = parse_list(top, ret, err);
    if (r < 0)
        sp_gpu_list_done(ret);
    return r;
}

static int parse_use(const json_t *item, struct sp_gpu_use *ret)
{
    static const char *const known[] = {"pid", "slot", "bytes"};
    int64_t pid = 0, bytes = 0;

    if (!json_is_object(item) || !only_known(item, known, SP_LEN(known)) ||
        sp_json_get_int(item, "pid", 1, INT32_MAX, &pid, NULL) < 0 || pid == 0 ||
        sp_json_get_int(item, "bytes", 0, INT64_MAX, &bytes, NULL) < 0 ||
        !take_text(item, "slot", false, ret->slot, sizeof(ret->slot)) || !ret->slot[0])
        return -1;
    ret->pid = (int)pid;
    ret->bytes = at_most((uint64_t)bytes);
    return 0;
}

int sp_gpu_usage_parse(struct sp_slice text, struct sp_gpu_usage *ret, struct sp_error *err)
{
    SP_AUTO_JSON json_t *top = NULL;
    const json_t *uses;
    bool ok = true;
    int r = sp_json_parse(text, &top, err);

    ret->n = 0;
    if (r < 0)
        return r;
    if (!json_is_object(top))
        return bad(err, "use is no object");
    uses = array_of(top, "usage", SP_GPU_USAGE_MAX, &ok);
    if (!ok)
        return bad(err, "use is no list, or too long");
    for (size_t i = 0; i < json_array_size(uses); i++) {
        if (parse_use(json_array_get(uses, i), &ret->uses[ret->n]) < 0) {
            ret->n = 0;
            return bad(err, "use is not {pid, slot, bytes}");
        }
        ret->n++;
    }
    return 0;
}

/* --- printing --- */

static void put_string(struct sp_buf *out, const char *key, const char *value)
{
    (void)sp_buf_printf(out, "\"%s\":", key);
    (void)sp_buf_append_json_string(out, sp_slice_str(value));
}

/* Names of models and sentences come from drivers: what the parser would refuse becomes a space. */
static void put_words(struct sp_buf *out, const char *key, const char *value)
{
    SP_AUTO_FREE char *text = sp_strdup(value);

    for (char *p = text; *p; p++) {
        const char one[2] = {*p, '\0'};

        if (*p == '"')
            *p = '\'';
        else if (!is_plain(one, true))
            *p = ' ';
    }
    put_string(out, key, text);
}

static void put_strings(struct sp_buf *out, const char *key, const char *from, size_t stride,
                        size_t n)
{
    (void)sp_buf_printf(out, ",\"%s\":[", key);
    for (size_t i = 0; i < n; i++) {
        if (i)
            (void)sp_buf_append_char(out, ',');
        (void)sp_buf_append_json_string(out, sp_slice_str(from + i * stride));
    }
    (void)sp_buf_append_char(out, ']');
}

static void put_slot(struct sp_buf *out, const struct sp_gpu_slot *slot)
{
    (void)sp_buf_append_char(out, '{');
    put_string(out, "id", slot->id);
    (void)sp_buf_append_char(out, ',');
    put_string(out, "kind", sp_gpu_kind_to_string(slot->kind));
    (void)sp_buf_append_char(out, ',');
    put_string(out, "uuid", slot->uuid);
    (void)sp_buf_append_char(out, ',');
    put_words(out, "model", slot->model);
    (void)sp_buf_printf(out, ",\"memory\":%llu,\"nodes\":[",
                        (unsigned long long)at_most(slot->memory_bytes));
    for (size_t i = 0; i < slot->n_nodes; i++) {
        (void)sp_buf_append_str(out, i ? ",{" : "{");
        put_string(out, "path", slot->nodes[i].path);
        (void)sp_buf_printf(out, ",\"major\":%u,\"minor\":%u}", slot->nodes[i].major,
                            slot->nodes[i].minor);
    }
    (void)sp_buf_append_char(out, ']');
    put_strings(out, "env", slot->env[0], sizeof(slot->env[0]), slot->n_env);
    put_strings(out, "cdi", slot->cdi[0], sizeof(slot->cdi[0]), slot->n_cdi);
    (void)sp_buf_append_char(out, '}');
}

void sp_gpu_list_print(const struct sp_gpu_list *list, struct sp_buf *out)
{
    (void)sp_buf_append_char(out, '{');
    put_string(out, "provider", list->provider);
    (void)sp_buf_append_char(out, ',');
    put_words(out, "why", list->why);
    (void)sp_buf_append_str(out, ",\"slots\":[");
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            (void)sp_buf_append_char(out, ',');
        put_slot(out, &list->slots[i]);
    }
    (void)sp_buf_append_str(out, "],\"mounts\":[");
    for (size_t i = 0; i < list->n_mounts; i++) {
        (void)sp_buf_append_str(out, i ? ",{" : "{");
        put_string(out, "host", list->mounts[i].host);
        (void)sp_buf_append_char(out, ',');
        put_string(out, "inside", list->mounts[i].inside);
        (void)sp_buf_append_char(out, '}');
    }
    (void)sp_buf_append_str(out, "]}\n");
}

void sp_gpu_usage_print(const struct sp_gpu_usage *usage, struct sp_buf *out)
{
    (void)sp_buf_append_str(out, "{\"usage\":[");
    for (size_t i = 0; i < usage->n; i++) {
        (void)sp_buf_printf(out, "%s{\"pid\":%d,", i ? "," : "", usage->uses[i].pid);
        put_string(out, "slot", usage->uses[i].slot);
        (void)sp_buf_printf(out, ",\"bytes\":%llu}",
                            (unsigned long long)at_most(usage->uses[i].bytes));
    }
    (void)sp_buf_append_str(out, "]}\n");
}
