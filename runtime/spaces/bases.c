#include "runtime/spaces/bases-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/config.h"
#include "runtime/state/snapshot.h"
#include "runtime/state/store.h"

#define KEY_BASES "/bases/"

const char *sp_base_state_to_string(enum sp_base_state state)
{
    static const char *const names[] = {
        [SP_BASE_MAKING] = "making", [SP_BASE_READY] = "ready", [SP_BASE_FAILED] = "failed"};

    return names[state];
}

struct sp_bases *sp_bases_new(const struct sp_bases_options *options)
{
    struct sp_bases *bases = sp_new0(struct sp_bases);

    bases->options = *options;
    sp_list_init(&bases->list);
    return bases;
}

void sp_base_forget(struct sp_base *base)
{
    sp_list_remove(&base->node);
    json_decref(base->config);
    free(base);
}

void sp_bases_free(struct sp_bases *bases)
{
    if (!bases)
        return;
    SP_LIST_EACH (base, &bases->list, struct sp_base, node)
        sp_base_forget(base);
    sp_auto_fd(&bases->options.take_program_fd);
    free(bases);
}

const struct sp_list *sp_bases_list(const struct sp_bases *bases)
{
    return &bases->list;
}

static struct sp_base *find(const struct sp_bases *bases, const char *name)
{
    SP_LIST_EACH (base, &bases->list, struct sp_base, node)
        if (strcmp(base->name, name) == 0)
            return base;
    return NULL;
}

const struct sp_base *sp_bases_find(const struct sp_bases *bases, const char *name)
{
    return find(bases, name);
}

int sp_bases_resolve(const struct sp_bases *bases, const char *word, const char **ret_digest,
                     struct sp_error *err)
{
    const char *name = word[0] ? word : sp_config_str(bases->options.config, "base.default");
    const struct sp_base *base = find(bases, name);

    *ret_digest = "";
    if (strcmp(name, SP_BASE_HOST) == 0)
        return 0;
    if (!base || base->state != SP_BASE_READY)
        return sp_error_set(
            err, SP_ERR_INVALID, 0,
            "this host has no base '%.63s'%s: its operator makes one with 'spaces base create'",
            name, word[0] ? "" : " (base.default)");
    *ret_digest = base->digest;
    return 0;
}

/* --- loading ---------------------------------------------------------------------------------- */

struct load {
    struct sp_bases *bases;
    void (*ready)(void *arg, const struct sp_error *err);
    void *arg;
};

static bool is_used(void *arg, const char *digest)
{
    struct sp_bases *bases = arg;

    SP_LIST_EACH (base, &bases->list, struct sp_base, node)
        if (strcmp(base->digest, digest) == 0)
            return true;
    return false;
}

static int take_up(struct sp_bases *bases, const struct sp_store_kv *kv, struct sp_error *err)
{
    struct sp_base *base = sp_new0(struct sp_base);
    SP_AUTO_JSON json_t *doc = NULL;
    const char *digest = "", *source = "";
    int64_t bytes = 0, files = 0;
    int r = sp_json_parse(kv->value, &doc, err);

    base->state = SP_BASE_READY;
    sp_list_append(&bases->list, &base->node);
    if (r < 0)
        return r;
    (void)snprintf(base->name, sizeof(base->name), "%s", kv->key + strlen(KEY_BASES));
    if (sp_json_get_str(doc, "digest", &digest, err) < 0 ||
        sp_json_get_str(doc, "source", &source, err) < 0 ||
        sp_json_get_int(doc, "bytes", 0, INT64_MAX, &bytes, err) < 0 ||
        sp_json_get_int(doc, "files", 0, INT64_MAX, &files, err) < 0 ||
        sp_json_get_int(doc, "created_ms", 0, INT64_MAX, &base->created_ms, err) < 0)
        return sp_error_wrap(err, "load base '%s'", base->name);
    (void)snprintf(base->digest, sizeof(base->digest), "%s", digest);
    (void)snprintf(base->source, sizeof(base->source), "%s", source);
    base->bytes = (uint64_t)bytes;
    base->files = (uint64_t)files;
    base->config = json_incref(json_object_get(doc, "config"));
    return 0;
}

static void on_loaded(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    SP_AUTO_FREE struct load *load = arg;
    struct sp_error own = {0};

    for (size_t i = 0; !err && i < range->count; i++)
        if (take_up(load->bases, &range->kvs[i], &own) < 0)
            err = &own;
    if (!err && sp_mkdir_p(AT_FDCWD, SP_DIR_BASES "/staging", 0700, &own) < 0)
        err = &own;
    if (!err && sp_snapshot_sweep(SP_DIR_BASES, is_used, load->bases, &own) < 0)
        err = &own;
    load->ready(load->arg, err);
}

void sp_bases_load(struct sp_bases *bases, void (*ready)(void *arg, const struct sp_error *err),
                   void *arg)
{
    struct load *load = sp_new0(struct load);
    struct sp_error err = {0};

    *load = (struct load){bases, ready, arg};
    if (sp_store_range(bases->options.store, KEY_BASES, true, 0, on_loaded, load, &err) < 0)
        on_loaded(load, &err, NULL);
}

/* --- stored, and removed ---------------------------------------------------------------------- */

struct change {
    struct sp_bases *bases;
    char name[SP_BASE_NAME];
    sp_bases_fn *done;
    void *arg;
};

static char *record_of(const struct sp_base *base)
{
    SP_AUTO_JSON json_t *doc =
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:O?}", "digest", base->digest, "source", base->source,
                  "bytes", (json_int_t)base->bytes, "files", (json_int_t)base->files, "created_ms",
                  (json_int_t)base->created_ms, "config", base->config);

    return json_dumps(doc, JSON_COMPACT);
}

static void on_stored(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    SP_AUTO_FREE struct change *change = arg;
    struct sp_base *base = find(change->bases, change->name);

    (void)succeeded;
    (void)rev;
    if (!base)
        return;
    if (err) {
        base->state = SP_BASE_FAILED;
        (void)snprintf(base->reason, sizeof(base->reason), "%s", err->msg);
        sp_snapshot_remove(change->bases->options.loop, SP_DIR_BASES, base->digest);
        base->digest[0] = '\0';
        return;
    }
    base->state = SP_BASE_READY;
    sp_log(SP_LOG_INFO, "base.ready", "name=%s digest=%s bytes=%llu", base->name, base->digest,
           (unsigned long long)base->bytes);
}

void sp_base_store(struct sp_bases *bases, struct sp_base *base)
{
    SP_AUTO_FREE char *key = sp_asprintf(KEY_BASES "%s", base->name);
    SP_AUTO_FREE char *text = record_of(base);
    struct change *change = sp_new0(struct change);
    struct sp_error err = {0};

    change->bases = bases;
    (void)snprintf(change->name, sizeof(change->name), "%s", base->name);
    if (!text ||
        sp_store_put(bases->options.store, key, sp_slice_str(text), on_stored, change, &err) < 0)
        on_stored(change, &err, false, 0);
}

static void on_removed(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    SP_AUTO_FREE struct change *change = arg;
    struct sp_base *base = find(change->bases, change->name);
    char digest[SP_LAUNCH_HASH_LEN + 1];

    (void)succeeded;
    (void)rev;
    if (!err && base) {
        (void)snprintf(digest, sizeof(digest), "%s", base->digest);
        sp_log(SP_LOG_INFO, "base.removed", "name=%s digest=%s", base->name, digest);
        sp_base_forget(base);
        if (digest[0] && !is_used(change->bases, digest))
            sp_snapshot_remove(change->bases->options.loop, SP_DIR_BASES, digest);
    }
    change->done(change->arg, err);
}

/* 0 when it may go. */
static int check_unused(const struct sp_bases *bases, const struct sp_base *base,
                        struct sp_error *err)
{
    char by[200] = "";

    if (strcmp(sp_config_str(bases->options.config, "base.default"), base->name) == 0)
        (void)snprintf(by, sizeof(by), "the setting base.default");
    else
        bases->options.used_by(bases->options.arg, base->name, base->digest, by, sizeof(by));
    return by[0] ? sp_error_set(err, SP_ERR_CONFLICT, 0, "base '%s' is used by %s", base->name, by)
                 : 0;
}

void sp_bases_remove(struct sp_bases *bases, const char *name, sp_bases_fn *done, void *arg)
{
    struct sp_base *base = find(bases, name);
    SP_AUTO_FREE char *key = NULL;
    struct sp_error err = {0};
    struct change *change;

    if (!base) {
        (void)sp_error_set(&err, SP_ERR_NOT_FOUND, 0, "there is no base '%.63s'", name);
        done(arg, &err);
        return;
    }
    if (base->state != SP_BASE_READY) {
        if (base->state == SP_BASE_MAKING)
            sp_base_job_end(bases, "its operator has stopped it");
        else
            sp_base_forget(base);
        done(arg, NULL);
        return;
    }
    if (check_unused(bases, base, &err) < 0) {
        done(arg, &err);
        return;
    }
    change = sp_new0(struct change);
    *change = (struct change){.bases = bases, .done = done, .arg = arg};
    (void)snprintf(change->name, sizeof(change->name), "%s", name);
    key = sp_asprintf(KEY_BASES "%s", name);
    if (sp_store_delete(bases->options.store, key, on_removed, change, &err) < 0)
        on_removed(change, &err, false, 0);
}

/* --- asked for -------------------------------------------------------------------------------- */

static bool only(const char *text, const char *more)
{
    for (const char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr(more, *c)))
            return false;
    return text[0] != '\0';
}

static int check(const struct sp_bases *bases, const char *name, const char *source,
                 const char *packages, const char *mirror, struct sp_error *err)
{
    unsigned n = 0;

    if (strlen(name) >= SP_BASE_NAME || !only(name, "_.-") || strchr("_.-", name[0]) ||
        strcmp(name, SP_BASE_HOST) == 0)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "'%.80s' is no name of a base: 1 to 63 of [a-z0-9_.-], not 'host'",
                            name);
    if (find(bases, name) && find(bases, name)->state != SP_BASE_FAILED)
        return sp_error_set(err, SP_ERR_CONFLICT, 0, "there is a base '%s' already", name);
    if (!(sp_slice_starts(sp_slice_str(source), "debian:") ||
          sp_slice_starts(sp_slice_str(source), "oci:/") ||
          sp_slice_starts(sp_slice_str(source), "docker-archive:/") ||
          (strstr(source, "@sha256:") && source[0] != '-')) ||
        strlen(source) >= sizeof(((struct sp_base *)0)->source))
        return sp_error_set(
            err, SP_ERR_INVALID, 0,
            "'%.100s' is none of debian:12, debian:13, oci:/DIR, docker-archive:/FILE, "
            "NAME@sha256:DIGEST",
            source);
    if (packages[0] && (!only(packages, ",+.-") || strlen(packages) > 4000))
        return sp_error_set(err, SP_ERR_INVALID, 0, "packages: expected names with commas between");
    if (mirror[0] && !sp_slice_starts(sp_slice_str(mirror), "http"))
        return sp_error_set(err, SP_ERR_INVALID, 0, "mirror: expected a URL");
    SP_LIST_EACH (base, &bases->list, struct sp_base, node)
        n += base->state != SP_BASE_FAILED;
    if (n >= sp_config_int(bases->options.config, "base.max"))
        return sp_error_set(err, SP_ERR_LIMIT, 0,
                            "there are %u bases, which is the limit (base.max)", n);
    if (bases->job)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "another base is being made: one at a time");
    return 0;
}

int sp_bases_make(struct sp_bases *bases, const char *name, const char *source,
                  const char *packages, const char *mirror, struct sp_error *err)
{
    struct sp_base *base;
    int r = check(bases, name, source, packages, mirror, err);

    if (r < 0)
        return r;
    base = find(bases, name);
    if (base)
        sp_base_forget(base);
    base = sp_new0(struct sp_base);
    (void)snprintf(base->name, sizeof(base->name), "%s", name);
    (void)snprintf(base->source, sizeof(base->source), "%s", source);
    (void)snprintf(base->step, sizeof(base->step), "begins");
    sp_list_append(&bases->list, &base->node);
    r = sp_base_job_start(bases, base, packages, mirror, err);
    if (r < 0)
        sp_base_forget(base);
    return r;
}
