#include "runtime/spaces.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/app.h"
#include "runtime/applog.h"
#include "runtime/config.h"
#include "runtime/snapshot.h"
#include "runtime/store.h"

#define KEY_SPACES "/spaces/"
#define KEY_NAMES  "/names/"
#define LOAD_PAGE  256 /* records, of at most 256 KiB each */

/* --- finding ---------------------------------------------------------------------------------- */

static char *name_key(const char *owner, const char *name)
{
    char *key = sp_asprintf("%s/%s", owner, name);

    for (char *c = key; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return key;
}

struct sp_space *sp_spaces_by_id(struct sp_spaces *all, uint64_t id)
{
    return sp_map_get_u64(&all->by_id, id);
}

struct sp_space *sp_spaces_by_name(struct sp_spaces *all, const char *owner, const char *name)
{
    SP_AUTO_FREE char *key = name_key(owner, name);

    return sp_map_get(&all->by_name, sp_slice_str(key));
}

static void add(struct sp_spaces *all, struct sp_space *space)
{
    SP_AUTO_FREE char *key = name_key(space->owner, space->name);

    sp_space_open(space, all);
    (void)sp_map_put_u64(&all->by_id, space->id, space);
    (void)sp_map_put(&all->by_name, sp_slice_str(key), space);
    /* Newest first: in front of the first that is older. */
    SP_LIST_EACH (other, &all->list, struct sp_space, node) {
        if (other->created_ms > space->created_ms)
            continue;
        sp_list_append(&other->node, &space->node);
        return;
    }
    sp_list_append(&all->list, &space->node);
}

static void forget(struct sp_space *space)
{
    SP_AUTO_FREE char *key = name_key(space->owner, space->name);

    (void)sp_map_remove_u64(&space->all->by_id, space->id);
    (void)sp_map_remove(&space->all->by_name, sp_slice_str(key));
    sp_list_remove(&space->node);
}

/* --- snapshots and folders -------------------------------------------------------------------- */

static bool refers(const struct sp_space *space, const char *snapshot)
{
    return strcmp(space->current.snapshot, snapshot) == 0 ||
           strcmp(space->candidate.snapshot, snapshot) == 0;
}

static bool is_used(void *arg, const char *snapshot)
{
    struct sp_spaces *all = arg;

    if (sp_map_get(&all->pinned, sp_slice_str(snapshot)) ||
        sp_instances_use(&all->instances, snapshot))
        return true;
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        if (refers(space, snapshot))
            return true;
    return false;
}

void sp_spaces_drop_snapshot(struct sp_spaces *all, const char *snapshot)
{
    if (snapshot[0] && !is_used(all, snapshot))
        sp_snapshot_remove(all->loop, SP_DIR_SNAPSHOTS, snapshot);
}

static void pin(struct sp_spaces *all, const char *snapshot)
{
    uintptr_t count = (uintptr_t)sp_map_get(&all->pinned, sp_slice_str(snapshot));

    (void)sp_map_put(&all->pinned, sp_slice_str(snapshot), (void *)(count + 1));
}

static void unpin(struct sp_spaces *all, const char *snapshot)
{
    uintptr_t count;

    if (!snapshot[0])
        return;
    count = (uintptr_t)sp_map_get(&all->pinned, sp_slice_str(snapshot));

    if (count > 1) {
        (void)sp_map_put(&all->pinned, sp_slice_str(snapshot), (void *)(count - 1));
        return;
    }
    (void)sp_map_remove(&all->pinned, sp_slice_str(snapshot));
    sp_spaces_drop_snapshot(all, snapshot);
}

/* files/<id>/u for uploads and o for outputs; the sandbox shows them as /run/files. */
static int make_folders(uint64_t id, struct sp_error *err)
{
    char path[64];
    int r;

    (void)snprintf(path, sizeof(path), SP_DIR_FILES "/%016" PRIx64 "/u", id);
    r = sp_mkdir_p(AT_FDCWD, path, 0700, err);
    if (r < 0)
        return r;
    path[strlen(path) - 1] = 'o';
    return sp_mkdir_p(AT_FDCWD, path, 0700, err);
}

static void remove_folders(uint64_t id)
{
    struct sp_error err = {0};
    char path[64];

    (void)snprintf(path, sizeof(path), SP_DIR_FILES "/%016" PRIx64, id);
    if (sp_rmtree(AT_FDCWD, path, &err) < 0)
        sp_log(SP_LOG_WARN, "space.files_left", "err=%s", sp_log_quoted(err.msg));
    sp_applog_erase(SP_DIR_LOGS, id);
}

/* Folders of Spaces that are no more: a delete that was cut short by a crash. */
static void sweep_folders(struct sp_spaces *all, const char *dir)
{
    DIR *entries = opendir(dir);
    struct dirent *entry;

    while (entries && (entry = readdir(entries))) {
        uint64_t id = strtoull(entry->d_name, NULL, 16);

        if (strlen(entry->d_name) == 16 && id && !sp_spaces_by_id(all, id))
            remove_folders(id);
    }
    if (entries)
        (void)closedir(entries);
}

/* --- loading ---------------------------------------------------------------------------------- */

struct load {
    struct sp_spaces *all;
    void (*ready)(void *arg, const struct sp_error *err);
    void *arg;
};

static int take_up(struct sp_spaces *all, const struct sp_store_kv *kv, struct sp_error *err)
{
    struct sp_space *space = sp_new0(struct sp_space);
    int r;

    space->id = strtoull(kv->key + strlen(KEY_SPACES), NULL, 16);
    r = sp_space_from_record(kv->value.ptr, kv->value.len, space, err);
    if (r == 0)
        r = make_folders(space->id, err);
    if (r < 0) {
        free(space);
        return sp_error_wrap(err, "load Space '%s'", kv->key);
    }
    add(all, space);
    return 0;
}

static void on_loaded(void *arg, const struct sp_error *err, const struct sp_store_range *range);

/* The records after `after`, a page at a time: many Spaces must not be in memory twice. */
static void load_page(struct load *load, const char *after)
{
    struct sp_error err = {0};
    int r =
        sp_store_range_after(load->all->store, KEY_SPACES, after, LOAD_PAGE, on_loaded, load, &err);

    if (r < 0)
        on_loaded(load, &err, NULL);
}

/* Only after the last page: a sweep would take what belongs to Spaces that are not loaded yet. */
static void sweep(struct sp_spaces *all)
{
    struct sp_error err = {0};

    sweep_folders(all, SP_DIR_FILES);
    sweep_folders(all, SP_DIR_LOGS);
    if (sp_snapshot_sweep(SP_DIR_SNAPSHOTS, is_used, all, &err) < 0)
        sp_log(SP_LOG_WARN, "snapshot.sweep", "err=%s", sp_log_quoted(err.msg));
}

static void on_loaded(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct load *load = arg;
    struct sp_error own = {0};

    for (size_t i = 0; !err && i < range->count; i++)
        if (take_up(load->all, &range->kvs[i], &own) < 0)
            err = &own;
    if (!err && range->more) {
        load_page(load, range->kvs[range->count - 1].key);
        return;
    }
    if (!err)
        sweep(load->all);
    load->ready(load->arg, err);
    free(load);
}

void sp_spaces_load(struct sp_spaces *all, void (*ready)(void *arg, const struct sp_error *err),
                    void *arg)
{
    struct load *load = sp_new0(struct load);

    sp_list_init(&all->list);
    sp_map_init(&all->by_id);
    sp_map_init(&all->by_name);
    sp_map_init(&all->pinned);
    sp_list_init(&all->creating);
    *load = (struct load){all, ready, arg};
    load_page(load, "");
}

void sp_spaces_start(struct sp_spaces *all)
{
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
}

/* --- stopping --------------------------------------------------------------------------------- */

static void free_if_deleted(struct sp_space *space);

void sp_spaces_progress(struct sp_spaces *all)
{
    bool quiet = true;

    SP_LIST_EACH (space, &all->list, struct sp_space, node) {
        if (space->start_queued && !all->stopping) {
            space->start_queued = false;
            sp_space_step(space, SP_SPACE_BACKOFF_OVER, SP_STAGE_COUNT, "");
        }
        quiet = quiet && sp_space_is_quiet(space);
        if (space->stage == SP_STAGE_DELETING && sp_space_is_quiet(space))
            free_if_deleted(space);
    }
    if (all->stopping && quiet && all->on_stopped) {
        void (*stopped)(void *arg) = SP_TAKE(all->on_stopped);

        stopped(all->on_stopped_arg);
    }
}

void sp_spaces_stop(struct sp_spaces *all, void (*stopped)(void *arg), void *arg)
{
    all->stopping = true;
    all->on_stopped = stopped;
    all->on_stopped_arg = arg;
    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        sp_space_step(space, SP_SPACE_SHUTDOWN, SP_STAGE_COUNT, "");
    sp_spaces_progress(all);
}

struct freeing {
    unsigned left;
    void (*freed)(void *arg);
    void *arg;
};

static struct freeing freeing; /* there is one set of Spaces in a process, freed once */

static void count_down(void)
{
    if (--freeing.left == 0)
        freeing.freed(freeing.arg);
}

static void on_space_freed(struct sp_space *space)
{
    free(space);
    count_down();
}

void sp_spaces_free(struct sp_spaces *all, void (*freed)(void *arg), void *arg)
{
    freeing = (struct freeing){1, freed, arg};
    SP_LIST_EACH (space, &all->list, struct sp_space, node) {
        sp_list_remove(&space->node);
        freeing.left++;
        sp_space_close(space, on_space_freed);
    }
    sp_map_done(&all->by_id);
    sp_map_done(&all->by_name);
    sp_map_done(&all->pinned);
    count_down();
}

/* --- storing ---------------------------------------------------------------------------------- */

static char *space_key(uint64_t id)
{
    return sp_asprintf(KEY_SPACES "%016" PRIx64, id);
}

struct save {
    struct sp_spaces *all;
    char outdated[SP_SNAPSHOT_HEX]; /* pinned until it is stored */
};

static void on_saved(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct save save = *(struct save *)arg;

    (void)rev;
    free(arg);
    if (!err && succeeded) {
        unpin(save.all, save.outdated);
        return;
    }
    /* The record still names the outdated snapshot: it stays until the next start sweeps. */
    sp_log(SP_LOG_ERROR, "space.not_saved", "err=%s",
           sp_log_quoted(err ? err->msg : "the record is gone"));
}

void sp_spaces_outdate(struct sp_space *space, const char *snapshot)
{
    if (!snapshot[0])
        return;
    /* A second one while a change is being stored stays pinned: the next start sweeps it. */
    (void)snprintf(space->outdated, sizeof(space->outdated), "%s", snapshot);
    pin(space->all, space->outdated);
}

void sp_spaces_save(struct sp_space *space)
{
    SP_AUTO_FREE char *key = space_key(space->id);
    SP_AUTO_FREE char *record = NULL;
    struct sp_error err = {0};
    struct save *save;
    size_t len;

    if (space->changing) {
        space->save_again = true; /* or this would overwrite what is being stored */
        return;
    }
    save = sp_new0(struct save);
    save->all = space->all;
    (void)snprintf(save->outdated, sizeof(save->outdated), "%s", space->outdated);
    space->outdated[0] = '\0';
    record = sp_space_to_record(space, &len);
    if (sp_store_put(space->all->store, key, sp_slice(record, len), on_saved, save, &err) < 0)
        on_saved(save, &err, false, 0);
}

/* A change under way: what is stored first and done to the live Space after. */
struct change {
    struct sp_list node; /* in sp_spaces.creating, or nowhere */
    struct sp_spaces *all;
    uint64_t id;
    struct sp_space *fresh; /* a Space that does not exist before the transaction */
    struct sp_version version;
    char pinned[SP_SNAPSHOT_HEX]; /* kept from the sweep until a record refers to it */
    bool is_deploy;
    bool set_private, is_private;
    bool set_paused, paused;
    bool remove;
    sp_spaces_fn *done;
    void *arg;
};

static void apply_deploy(struct sp_space *space, const struct sp_version *version)
{
    char old[SP_SNAPSHOT_HEX];

    (void)snprintf(old, sizeof(old), "%s", space->candidate.snapshot);
    space->candidate = *version;
    space->failure = (struct sp_failure){0};
    space->modified_ms = sp_clock_wall_ms();
    sp_spaces_drop_snapshot(space->all, old);
}

static void apply(struct change *change, struct sp_space *space)
{
    if (change->is_deploy) {
        if (!change->fresh)
            apply_deploy(space, &change->version);
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
    }
    if (change->set_private)
        space->is_private = change->is_private;
    if (change->set_paused) {
        space->paused = change->paused;
        sp_space_step(space, change->paused ? SP_SPACE_PAUSE : SP_SPACE_WANTED, SP_STAGE_COUNT, "");
    }
}

static void on_changed(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct change change = *(struct change *)arg;
    struct sp_space *space = change.fresh;
    struct sp_error own = {0};

    (void)rev;
    if (change.fresh)
        sp_list_remove(&((struct change *)arg)->node);
    free(arg);
    if (!err && !succeeded) {
        (void)sp_error_set(&own, change.fresh ? SP_ERR_CONFLICT : SP_ERR_NOT_FOUND, 0,
                           change.fresh ? "a Space of that name exists already"
                                        : "the Space is gone");
        err = &own;
    }
    if (!err && change.fresh)
        add(change.all, change.fresh);
    if (!change.fresh)
        space = sp_spaces_by_id(change.all, change.id);
    if (space)
        space->changing = false;
    if (err || !space) {
        if (change.fresh)
            remove_folders(change.fresh->id);
        free(change.fresh);
        change.done(change.arg, err, NULL);
        unpin(change.all, change.pinned);
        return;
    }
    if (change.remove) {
        change.done(change.arg, NULL, NULL);
        forget(space);
        sp_list_append(&change.all->list, &space->node); /* until its instances are gone */
        sp_space_step(space, SP_SPACE_DELETE, SP_STAGE_COUNT, "");
        sp_spaces_progress(change.all);
        return;
    }
    apply(&change, space);
    unpin(change.all, change.pinned);
    if (SP_TAKE_FLAG(space->save_again))
        sp_spaces_save(space);
    change.done(change.arg, NULL, space);
}

/* Refuses a change of a Space while another is being stored: each is built from the record as it
 * is. */
static bool begin(struct change *change, struct sp_space *space)
{
    struct sp_error err = {0};

    if (!space->changing) {
        space->changing = true;
        return true;
    }
    (void)sp_error_set(&err, SP_ERR_CONFLICT, 0,
                       "another change of '%s/%s' is being stored, try again", space->owner,
                       space->name);
    change->done(change->arg, &err, NULL);
    unpin(change->all, change->pinned);
    free(change);
    return false;
}

static void submit(struct change *change, const struct sp_store_txn *txn)
{
    struct sp_error err = {0};

    if (sp_store_txn(change->all->store, txn, on_changed, change, &err) < 0)
        on_changed(change, &err, false, 0);
}

/* --- deploy ----------------------------------------------------------------------------------- */

static struct sp_version make_version(const struct sp_deploy *deploy, uint64_t number)
{
    struct sp_version version = {
        .number = number, .created_ms = sp_clock_wall_ms(), .card = *deploy->card};

    (void)snprintf(version.snapshot, sizeof(version.snapshot), "%s", deploy->snapshot);
    return version;
}

static uint64_t random_id(void)
{
    uint64_t id = 0;

    while (id == 0)
        sp_random(&id, sizeof(id));
    return id >> 1 | 1; /* positive as a signed number too, for everything that reads JSON */
}

static struct sp_space *make_space(const struct sp_deploy *deploy)
{
    struct sp_space *space = sp_new0(struct sp_space);

    space->id = random_id();
    space->is_private = deploy->is_private;
    space->created_ms = space->modified_ms = sp_clock_wall_ms();
    (void)snprintf(space->owner, sizeof(space->owner), "%s", deploy->owner);
    (void)snprintf(space->name, sizeof(space->name), "%s", deploy->name);
    (void)snprintf(space->origin, sizeof(space->origin), "%s",
                   deploy->origin ? deploy->origin : "");
    space->candidate = make_version(deploy, 1);
    return space;
}

/* Those that are being stored count: many at once must not get past the limit together. */
static int check_owner(struct sp_spaces *all, const char *owner, struct sp_error *err)
{
    uint64_t max = sp_config_int(all->config, "spaces.max_per_user");
    uint64_t n = 0;

    SP_LIST_EACH (space, &all->list, struct sp_space, node)
        n += space->stage != SP_STAGE_DELETING && strcasecmp(space->owner, owner) == 0;
    SP_LIST_EACH (change, &all->creating, struct change, node)
        n += strcasecmp(change->fresh->owner, owner) == 0;
    if (n < max)
        return 0;
    return sp_error_set(err, SP_ERR_LIMIT, 0,
                        "%s has %llu Spaces, which is the limit (spaces.max_per_user): delete one "
                        "first",
                        owner, (unsigned long long)n);
}

static void deploy_fresh(struct change *change, const struct sp_deploy *deploy)
{
    SP_AUTO_FREE char *by_name = name_key(deploy->owner, deploy->name);
    SP_AUTO_FREE char *name_at = sp_asprintf(KEY_NAMES "%s", by_name);
    SP_AUTO_FREE char *record = NULL;
    SP_AUTO_FREE char *key = NULL;
    struct sp_error err = {0};
    char hex[17];
    size_t len;
    int r = deploy->unlimited ? 0 : check_owner(change->all, deploy->owner, &err);

    change->fresh = make_space(deploy);
    sp_list_append(&change->all->creating, &change->node);
    if (r < 0 || make_folders(change->fresh->id, &err) < 0) {
        on_changed(change, &err, false, 0);
        return;
    }
    key = space_key(change->fresh->id);
    record = sp_space_to_record(change->fresh, &len);
    (void)snprintf(hex, sizeof(hex), "%016" PRIx64, change->fresh->id);
    submit(change,
           &(struct sp_store_txn){
               .compares = &(struct sp_store_compare){.key = name_at, .op = SP_STORE_ABSENT},
               .n_compares = 1,
               .then =
                   (struct sp_store_op[]){
                       {.op = SP_STORE_PUT, .key = name_at, .value = sp_slice(hex, 16)},
                       {.op = SP_STORE_PUT, .key = key, .value = sp_slice(record, len)},
                   },
               .n_then = 2,
           });
}

/* Stores `next`, a changed copy of the record, if the Space still exists. */
static void store_record(struct change *change, const struct sp_space *next)
{
    SP_AUTO_FREE char *key = space_key(next->id);
    SP_AUTO_FREE char *record = NULL;
    size_t len;

    record = sp_space_to_record(next, &len);
    submit(change, &(struct sp_store_txn){
                       .compares = &(struct sp_store_compare){.key = key, .op = SP_STORE_PRESENT},
                       .n_compares = 1,
                       .then = &(struct sp_store_op){.op = SP_STORE_PUT,
                                                     .key = key,
                                                     .value = sp_slice(record, len)},
                       .n_then = 1,
                   });
}

void sp_spaces_deploy(struct sp_spaces *all, const struct sp_deploy *deploy, sp_spaces_fn *done,
                      void *arg)
{
    struct sp_space *space = sp_spaces_by_name(all, deploy->owner, deploy->name);
    struct change *change = sp_new0(struct change);
    uint64_t newest;
    struct sp_space next;

    *change = (struct change){.all = all, .is_deploy = true, .done = done, .arg = arg};
    (void)snprintf(change->pinned, sizeof(change->pinned), "%s", deploy->snapshot);
    pin(all, change->pinned);
    if (!space || deploy->must_be_new) {
        deploy_fresh(change, deploy);
        return;
    }
    newest = space->candidate.number > space->current.number ? space->candidate.number
                                                             : space->current.number;
    if (space->failure.is_set && space->failure.number > newest)
        newest = space->failure.number;
    change->id = space->id;
    change->version = make_version(deploy, newest + 1);
    if (!begin(change, space))
        return;
    next = *space;
    next.candidate = change->version;
    next.failure = (struct sp_failure){0};
    next.modified_ms = change->version.created_ms;
    store_record(change, &next);
}

void sp_spaces_set_private(struct sp_space *space, bool is_private, sp_spaces_fn *done, void *arg)
{
    struct change *change = sp_new0(struct change);
    struct sp_space next = *space;

    *change = (struct change){.all = space->all,
                              .id = space->id,
                              .set_private = true,
                              .is_private = is_private,
                              .done = done,
                              .arg = arg};
    next.is_private = is_private;
    if (begin(change, space))
        store_record(change, &next);
}

void sp_spaces_set_paused(struct sp_space *space, bool paused, sp_spaces_fn *done, void *arg)
{
    struct change *change = sp_new0(struct change);
    struct sp_space next = *space;

    *change = (struct change){.all = space->all,
                              .id = space->id,
                              .set_paused = true,
                              .paused = paused,
                              .done = done,
                              .arg = arg};
    next.paused = paused;
    if (begin(change, space))
        store_record(change, &next);
}

/* --- delete ----------------------------------------------------------------------------------- */

static void on_deleted(struct sp_space *space)
{
    free(space);
}

static void free_if_deleted(struct sp_space *space)
{
    struct sp_spaces *all = space->all;
    char current[SP_SNAPSHOT_HEX];
    char candidate[SP_SNAPSHOT_HEX];

    if (sp_spaces_by_id(all, space->id) == space)
        return; /* the daemon stops; the Space stays */
    (void)snprintf(current, sizeof(current), "%s", space->current.snapshot);
    (void)snprintf(candidate, sizeof(candidate), "%s", space->candidate.snapshot);
    sp_list_remove(&space->node);
    sp_apps_space_removed(all->apps, space->id);
    remove_folders(space->id);
    sp_spaces_drop_snapshot(all, current);
    sp_spaces_drop_snapshot(all, candidate);
    sp_space_close(space, on_deleted);
}

void sp_spaces_delete(struct sp_space *space, sp_spaces_fn *done, void *arg)
{
    SP_AUTO_FREE char *by_name = name_key(space->owner, space->name);
    SP_AUTO_FREE char *name_at = sp_asprintf(KEY_NAMES "%s", by_name);
    SP_AUTO_FREE char *key = space_key(space->id);
    struct change *change = sp_new0(struct change);

    *change = (struct change){
        .all = space->all, .id = space->id, .remove = true, .done = done, .arg = arg};
    if (!begin(change, space))
        return;
    submit(change, &(struct sp_store_txn){
                       .compares = &(struct sp_store_compare){.key = key, .op = SP_STORE_PRESENT},
                       .n_compares = 1,
                       .then =
                           (struct sp_store_op[]){
                               {.op = SP_STORE_DELETE, .key = name_at},
                               {.op = SP_STORE_DELETE, .key = key},
                           },
                       .n_then = 2,
                   });
}
