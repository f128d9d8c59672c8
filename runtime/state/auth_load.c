#include "runtime/state/auth-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define PAGE 1000

/* Users come first: a credential of nobody is dropped. */
static const struct {
    const char *prefix;
    enum auth_kind kind; /* not for users */
} stages[] = {
    {AUTH_USERS, AUTH_TOKEN},
    {AUTH_TOKENS, AUTH_TOKEN},
    {AUTH_SESSIONS, AUTH_SESSION},
    {AUTH_LOGINS, AUTH_LOGIN},
};

static int load_user(struct sp_auth *auth, const json_t *value, struct sp_error *err)
{
    struct sp_user user = {0};
    const char *name = NULL;
    int r;

    if ((r = sp_json_get_str(value, "name", &name, err)) < 0 ||
        (r = sp_json_get_bool(value, "admin", &user.is_admin, err)) < 0 ||
        (r = sp_json_get_int(value, "created_ms", 0, INT64_MAX, &user.created_ms, err)) < 0)
        return r;
    if (!name || !sp_name_valid(sp_slice_str(name)))
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "a user without a name");
    (void)snprintf(user.name, sizeof(user.name), "%s", name);
    sp_auth_remember_user(auth, &user);
    return 0;
}

static bool hash_from_key(const char *key, const char *prefix, uint8_t ret[AUTH_HASH_BYTES])
{
    const char *hex = key + strlen(prefix);
    size_t len = 0;

    return sodium_hex2bin(ret, AUTH_HASH_BYTES, hex, strlen(hex), NULL, &len, NULL) == 0 &&
           len == AUTH_HASH_BYTES && strlen(hex) == (size_t)2 * AUTH_HASH_BYTES;
}

static int load_credential(struct sp_auth *auth, const char *key, const json_t *value,
                           struct sp_error *err)
{
    uint8_t hash[AUTH_HASH_BYTES];
    const char *user = NULL;
    int64_t expires_ms = 0;
    int r;

    if ((r = sp_json_get_str(value, "user", &user, err)) < 0 ||
        (r = sp_json_get_int(value, "expires_ms", 0, INT64_MAX, &expires_ms, err)) < 0)
        return r;
    if (!user || !hash_from_key(key, stages[auth->stage].prefix, hash))
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "a credential without a user or a hash");
    sp_auth_remember_credential(auth, stages[auth->stage].kind, hash, user, expires_ms);
    return 0;
}

/* One broken record locks nobody out: it is named in the log and left where it is. */
static void load_record(struct sp_auth *auth, const struct sp_store_kv *kv)
{
    SP_AUTO_JSON json_t *value = NULL;
    struct sp_error err = {0};
    int r = sp_json_parse(kv->value, &value, &err);

    if (r == 0)
        r = auth->stage == 0 ? load_user(auth, value, &err)
                             : load_credential(auth, kv->key, value, &err);
    if (r < 0)
        sp_log(SP_LOG_ERROR, "auth.bad_record", "key=%s err=%s", sp_log_quoted(kv->key),
               sp_log_quoted(err.msg));
}

static void finish(struct sp_auth *auth, const struct sp_error *err)
{
    auth->ready(auth->ready_arg, err);
    sp_auth_unref(auth);
}

static void on_page(void *arg, const struct sp_error *err, const struct sp_store_range *range);

static void ask(struct sp_auth *auth, const char *after)
{
    struct sp_error err = {0};

    if (sp_store_range_after(auth->store, stages[auth->stage].prefix, after, PAGE, on_page, auth,
                             &err) < 0)
        finish(auth, &err);
}

static void on_page(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct sp_auth *auth = arg;
    struct sp_error own;

    if (err) {
        own = *err;
        (void)sp_error_wrap(&own, "load users");
        finish(auth, &own);
        return;
    }
    for (size_t i = 0; i < range->count; i++)
        load_record(auth, &range->kvs[i]);
    if (range->more) {
        ask(auth, range->kvs[range->count - 1].key);
        return;
    }
    if (++auth->stage < (int)SP_LEN(stages))
        ask(auth, "");
    else
        finish(auth, NULL);
}

/* The store may refuse at once, but `ready` comes later like every answer. */
static void on_first_closed(uv_handle_t *handle)
{
    struct sp_auth *auth = handle->data;

    free(handle);
    ask(auth, "");
}

struct sp_auth *sp_auth_new(struct sp_store *store, const struct sp_config *config,
                            void (*ready)(void *arg, const struct sp_error *err), void *arg)
{
    struct sp_auth *auth = sp_new0(struct sp_auth);
    uv_timer_t *timer = sp_new0(uv_timer_t);

    if (sodium_init() < 0)
        abort(); /* no randomness: nothing here is safe */
    auth->store = store;
    auth->config = config;
    auth->refs = 2; /* the owner's and the loading's */
    auth->ready = ready;
    auth->ready_arg = arg;
    sp_map_init(&auth->users);
    sp_map_init(&auth->credentials);
    (void)uv_timer_init(sp_store_loop(store), timer);
    timer->data = auth;
    uv_close((uv_handle_t *)timer, on_first_closed);
    return auth;
}
