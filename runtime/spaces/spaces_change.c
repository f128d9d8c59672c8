/* Changes of Spaces: stored first, done to the live Space after. */
#include "runtime/spaces/spaces-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "runtime/state/snapshot.h"
#include "runtime/state/store.h"

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
        sp_spaces_unpin(save.all, save.outdated);
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
    sp_spaces_pin(space->all, space->outdated);
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
    bool set_resources;
    struct sp_resources resources;
    bool set_env;
    json_t *env; /* a reference */
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

static void apply_resources(struct sp_space *space, const struct sp_resources *next)
{
    struct sp_resources old = space->resources;
    /* Two sandboxes cannot have one /data; and none keeps what its owner has taken back. */
    bool replaces = strcmp(old.storage, next->storage) != 0 ||
                    sp_resources_tighten(space->all->config, &old, next);

    space->resources = *next;
    if (old.storage[0] && next->storage[0] && strcmp(old.storage, next->storage) != 0)
        space->grows = true;
    if (old.sleep_s != next->sleep_s && space->serving)
        sp_instance_set_freeze(space->serving, sp_resources_freeze_ms(space->all->config, next));
    if (old.sleep_s != next->sleep_s && space->next)
        sp_instance_set_freeze(space->next, sp_resources_freeze_ms(space->all->config, next));
    if (old.storage[0] && !next->storage[0])
        sp_spaces_remove_data(space->id);
    if (sp_resources_differ(&old, next))
        sp_space_step(space, replaces ? SP_SPACE_REPLACE : SP_SPACE_WANTED, SP_STAGE_COUNT, "");
}

static void apply(struct change *change, struct sp_space *space)
{
    if (change->is_deploy) {
        if (!change->fresh)
            apply_deploy(space, &change->version);
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
    }
    if (change->set_private && space->is_private != change->is_private) {
        space->is_private = change->is_private;
        sp_space_access(space);
    }
    if (change->set_env) {
        json_decref(space->env);
        space->env = SP_TAKE(change->env);
        sp_space_step(space, SP_SPACE_WANTED, SP_STAGE_COUNT, "");
    }
    if (change->set_resources)
        apply_resources(space, &change->resources);
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
        sp_spaces_add(change.all, change.fresh);
    if (!change.fresh)
        space = sp_spaces_by_id(change.all, change.id);
    if (space)
        space->changing = false;
    if (err || !space) {
        if (change.fresh)
            sp_spaces_remove_folders(change.all, change.fresh->id);
        if (change.fresh)
            json_decref(change.fresh->env);
        free(change.fresh);
        json_decref(change.env);
        change.done(change.arg, err, NULL);
        sp_spaces_unpin(change.all, change.pinned);
        return;
    }
    if (change.remove) {
        change.done(change.arg, NULL, NULL);
        sp_spaces_forget(space);
        sp_list_append(&change.all->list, &space->node); /* until its instances are gone */
        sp_space_step(space, SP_SPACE_DELETE, SP_STAGE_COUNT, "");
        sp_spaces_progress(change.all);
        return;
    }
    apply(&change, space);
    sp_spaces_unpin(change.all, change.pinned);
    if (SP_TAKE_FLAG(space->save_again))
        sp_spaces_save(space);
    change.done(change.arg, NULL, space);
}

/*
 * Refuses a change of a Space while another is being stored: each is built from the record as it
 * is. Of a broken one nobody has it: it can be deleted.
 */
static bool begin(struct change *change, struct sp_space *space)
{
    struct sp_error err = {0};
    bool is_broken = space->broken[0] && !change->remove;

    if (!space->changing && !is_broken) {
        space->changing = true;
        return true;
    }
    if (is_broken)
        (void)sp_error_set(&err, SP_ERR_CONFLICT, 0, "'%s/%s' cannot be changed: %s", space->owner,
                           space->name, space->broken);
    else
        (void)sp_error_set(&err, SP_ERR_CONFLICT, 0,
                           "another change of '%s/%s' is being stored, try again", space->owner,
                           space->name);
    change->done(change->arg, &err, NULL);
    sp_spaces_unpin(change->all, change->pinned);
    json_decref(change->env);
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
    space->env = json_incref(deploy->env);
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
    SP_AUTO_FREE char *by_name = sp_spaces_name_key(deploy->owner, deploy->name);
    SP_AUTO_FREE char *name_at = sp_asprintf(KEY_NAMES "%s", by_name);
    SP_AUTO_FREE char *record = NULL;
    SP_AUTO_FREE char *key = NULL;
    struct sp_error err = {0};
    char hex[17];
    size_t len;
    int r = deploy->unlimited ? 0 : check_owner(change->all, deploy->owner, &err);

    change->fresh = make_space(deploy);
    sp_list_append(&change->all->creating, &change->node);
    if (r < 0 || sp_spaces_make_folders(change->fresh->id, &err) < 0) {
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
    sp_spaces_pin(all, change->pinned);
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

void sp_spaces_set_resources(struct sp_space *space, const struct sp_resources *resources,
                             sp_spaces_fn *done, void *arg)
{
    struct change *change = sp_new0(struct change);
    struct sp_space next = *space;

    *change = (struct change){.all = space->all,
                              .id = space->id,
                              .set_resources = true,
                              .resources = *resources,
                              .done = done,
                              .arg = arg};
    next.resources = *resources;
    if (begin(change, space))
        store_record(change, &next);
}

void sp_spaces_set_env(struct sp_space *space, json_t *next_env, sp_spaces_fn *done, void *arg)
{
    struct change *change = sp_new0(struct change);
    struct sp_space next = *space;

    *change = (struct change){.all = space->all,
                              .id = space->id,
                              .set_env = true,
                              .env = json_incref(next_env),
                              .done = done,
                              .arg = arg};
    next.env = next_env;
    if (begin(change, space))
        store_record(change, &next);
}

/* --- delete ----------------------------------------------------------------------------------- */

void sp_spaces_delete(struct sp_space *space, sp_spaces_fn *done, void *arg)
{
    SP_AUTO_FREE char *by_name = sp_spaces_name_key(space->owner, space->name);
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
