/*
 * The records, read at the start. One that cannot be read stops nobody: its Space keeps its name
 * and its files, does not run and takes no change but its deletion.
 */
#include "runtime/spaces/spaces-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/state/store.h"

#define LOAD_PAGE 256 /* records, of at most 256 KiB each */

struct load {
    struct sp_spaces *all;
    struct sp_list broken; /* Spaces whose names are looked for when all the others are there */
    void (*ready)(void *arg, const struct sp_error *err);
    void *arg;
};

/* The next page, after `after`: many Spaces must not be in memory twice. */
static void load_page(struct load *load, const char *prefix, const char *after,
                      sp_store_range_fn *done)
{
    struct sp_error err = {0};

    if (sp_store_range_after(load->all->store, prefix, after, LOAD_PAGE, done, load, &err) < 0)
        done(load, &err, NULL);
}

static void log_broken(const struct sp_space *space)
{
    sp_log(SP_LOG_ERROR, "space.broken", "id=%016llx space=%s/%s err=%s",
           (unsigned long long)space->id, space->owner, space->name, sp_log_quoted(space->broken));
}

static uint64_t id_of(const char *hex)
{
    return strtoull(hex, NULL, 16);
}

/* --- records that cannot be read -------------------------------------------------------------- */

/* Nothing of what was read is trusted but, for its capitals, the name. */
static void set_aside(struct load *load, struct sp_space *space, const char *why)
{
    struct sp_space broken = {.id = space->id, .is_private = true};

    memcpy(broken.owner, space->owner, sizeof(broken.owner));
    memcpy(broken.name, space->name, sizeof(broken.name));
    (void)snprintf(broken.broken, sizeof(broken.broken),
                   "its record in the store cannot be read (%.200s), so it does not run and "
                   "nothing of it is removed: start the spacesd that wrote it, or put a backup of "
                   "the state folder back",
                   why);
    json_decref(space->env);
    *space = broken;
    sp_list_append(&load->broken, &space->node);
}

/* The store knows names apart from records, each as long as it is taken. */
static void name_broken(struct load *load, const char *name, uint64_t id)
{
    SP_LIST_EACH (space, &load->broken, struct sp_space, node) {
        SP_AUTO_FREE char *read = sp_asprintf("%s/%s", space->owner, space->name);
        const char *slash = strchr(name, '/');

        if (space->id != id || !slash || strcasecmp(read, name) == 0)
            continue;
        (void)snprintf(space->owner, sizeof(space->owner), "%.*s", (int)(slash - name), name);
        (void)snprintf(space->name, sizeof(space->name), "%s", slash + 1);
    }
}

static void add_broken(struct sp_spaces *all, struct sp_space *space)
{
    bool has_name =
        space->owner[0] && space->name[0] && !sp_spaces_by_name(all, space->owner, space->name);
    size_t len;

    if (has_name) {
        len = strlen(space->broken);
        (void)snprintf(space->broken + len, sizeof(space->broken) - len, ", or delete the Space");
        log_broken(space);
        sp_spaces_add(all, space);
        return;
    }
    space->owner[0] = space->name[0] = '\0';
    log_broken(space);
    (void)sp_map_put_u64(&all->lost, space->id, all);
    free(space);
}

/* --- all of them ------------------------------------------------------------------------------ */

static void finish(struct load *load, const struct sp_error *err)
{
    while (!sp_list_empty(&load->broken))
        add_broken(load->all, SP_LIST_TAKE(&load->broken, struct sp_space, node));
    if (!err)
        sp_spaces_sweep(load->all);
    load->ready(load->arg, err);
    free(load);
}

static void on_names(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct load *load = arg;

    for (size_t i = 0; !err && i < range->count; i++) {
        char hex[17];

        (void)snprintf(hex, sizeof(hex), "%.*s", (int)range->kvs[i].value.len,
                       range->kvs[i].value.ptr);
        name_broken(load, range->kvs[i].key + strlen(KEY_NAMES), id_of(hex));
    }
    if (!err && range->more)
        load_page(load, KEY_NAMES, range->kvs[range->count - 1].key, on_names);
    else
        finish(load, err);
}

static void take_up(struct load *load, const struct sp_store_kv *kv)
{
    struct sp_space *space = sp_new0(struct sp_space);
    struct sp_error err = {0};

    space->id = id_of(kv->key + strlen(KEY_SPACES));
    if (sp_space_from_record(kv->value.ptr, kv->value.len, space, &err) < 0) {
        set_aside(load, space, err.msg);
        return;
    }
    if (sp_spaces_make_folders(space->id, &err) < 0) {
        (void)snprintf(space->broken, sizeof(space->broken),
                       "its folders cannot be made (%.200s), so it does not run: start spacesd "
                       "anew when that is mended",
                       err.msg);
        log_broken(space);
    }
    sp_spaces_add(load->all, space);
}

static void on_records(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct load *load = arg;

    for (size_t i = 0; !err && i < range->count; i++)
        take_up(load, &range->kvs[i]);
    if (!err && range->more)
        load_page(load, KEY_SPACES, range->kvs[range->count - 1].key, on_records);
    else if (!err && !sp_list_empty(&load->broken))
        load_page(load, KEY_NAMES, "", on_names);
    else
        finish(load, err);
}

void sp_spaces_load(struct sp_spaces *all, void (*ready)(void *arg, const struct sp_error *err),
                    void *arg)
{
    struct load *load = sp_new0(struct load);

    sp_list_init(&all->list);
    sp_map_init(&all->by_id);
    sp_map_init(&all->by_name);
    sp_map_init(&all->pinned);
    sp_map_init(&all->lost);
    sp_list_init(&all->creating);
    sp_list_init(&all->waiting);
    sp_trash_init(&all->trash, all->loop);
    *load = (struct load){.all = all, .ready = ready, .arg = arg};
    sp_list_init(&load->broken);
    load_page(load, KEY_SPACES, "", on_records);
}
