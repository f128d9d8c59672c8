/* Changes on their way through the store, and the questions of each request. */
#include "runtime/state/auth-internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "runtime/config.h"

/* --- one change ------------------------------------------------------------------------------- */

static struct auth_op *op_new(struct sp_auth *auth, sp_auth_secret_fn *done, void *arg)
{
    struct auth_op *op = sp_new0(struct auth_op);

    op->auth = auth;
    auth->refs++;
    op->done = done;
    op->arg = arg;
    return op;
}

static void op_finish(struct auth_op *op)
{
    bool ok = op->err.kind == SP_ERR_NONE;
    const struct sp_user *user = auth_find_user(op->auth, sp_slice_str(op->user));

    if (op->done)
        op->done(op->arg, ok ? NULL : &op->err, ok ? user : NULL, ok ? op->secret : NULL);
    sp_auth_unref(op->auth);
    sodium_memzero(op->secret, sizeof(op->secret));
    free(op);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_later(uv_timer_t *timer)
{
    struct auth_op *op = timer->data;

    uv_close((uv_handle_t *)timer, on_timer_closed);
    op_finish(op);
}

/* What is refused at once is told later too: a caller never hears from inside its own call. */
static void finish_later(struct auth_op *op)
{
    uv_timer_t *timer = sp_new0(uv_timer_t);

    (void)uv_timer_init(sp_store_loop(op->auth->store), timer);
    timer->data = op;
    (void)uv_timer_start(timer, on_later, 0, 0);
}

/* Memory follows the disk: only what is committed is known. */
static void apply(struct auth_op *op)
{
    struct sp_auth *auth = op->auth;

    for (size_t i = 0; i < op->n_forget; i++)
        auth_forget(auth, op->forget[i]);
    if (op->new_user.name[0])
        sp_auth_remember_user(auth, &op->new_user);
    if (op->secret[0])
        sp_auth_remember_credential(auth, op->kind, op->hash, op->user, op->expires_ms);
}

static void on_committed(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct auth_op *op = arg;

    (void)rev;
    if (err)
        op->err = *err;
    else if (!succeeded)
        (void)sp_error_set(&op->err, op->lost_kind, 0, "%s", op->lost_why);
    else
        apply(op);
    op_finish(op);
}

/* `compare` must hold; otherwise the change fails with this kind and reason. */
static void op_start(struct auth_op *op, const struct sp_store_compare *compare,
                     const struct sp_store_op *ops, size_t n_ops, enum sp_err_kind lost_kind,
                     const char *lost_why)
{
    struct sp_store_txn txn = {
        .compares = compare, .n_compares = compare ? 1 : 0, .then = ops, .n_then = n_ops};

    op->lost_kind = lost_kind;
    op->lost_why = lost_why;
    if (sp_store_txn(op->auth->store, &txn, on_committed, op, &op->err) < 0)
        finish_later(op);
}

/* --- users and tokens ------------------------------------------------------------------------- */

static int check_new_user(const struct sp_auth *auth, const char *name, struct sp_error *err)
{
    if (!sp_name_valid(sp_slice_str(name)))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "a user's name is 1 to 96 letters, digits, '-', '_' and '.', without "
                            "'--' or '..', and begins and ends with a letter or digit");
    if (auth->users.count >= sp_config_int(auth->config, "users.max"))
        return sp_error_set(err, SP_ERR_LIMIT, 0, "there are %zu users (users.max)",
                            auth->users.count);
    return 0;
}

void sp_auth_add_user(struct sp_auth *auth, const char *name, bool is_admin,
                      sp_auth_secret_fn *done, void *arg)
{
    SP_AUTO_BUF struct sp_buf user = {0};
    SP_AUTO_BUF struct sp_buf token = {0};
    struct auth_op *op = op_new(auth, done, arg);
    char keys[2][AUTH_KEY_SIZE];

    if (check_new_user(auth, name, &op->err) < 0) {
        finish_later(op);
        return;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", name);
    op->new_user = (struct sp_user){.is_admin = is_admin, .created_ms = sp_clock_wall_ms()};
    (void)snprintf(op->new_user.name, sizeof(op->new_user.name), "%s", name);
    auth_make_secret(op, AUTH_TOKEN);
    auth_user_key(name, keys[0]);
    auth_credential_key(AUTH_TOKEN, op->hash, keys[1]);
    auth_user_value(&op->new_user, &user);
    auth_credential_value(op, "first", &token);
    op_start(op, &(struct sp_store_compare){.key = keys[0], .op = SP_STORE_ABSENT},
             (struct sp_store_op[]){
                 {.op = SP_STORE_PUT, .key = keys[0], .value = sp_buf_slice(&user)},
                 {.op = SP_STORE_PUT, .key = keys[1], .value = sp_buf_slice(&token)},
             },
             2, SP_ERR_CONFLICT, "there is a user of this name");
}

static size_t count_of(struct sp_auth *auth, const struct sp_user *user, enum auth_kind kind)
{
    struct auth_credential *credential;
    size_t cursor = 0;
    size_t count = 0;

    while ((credential = sp_map_next(&auth->credentials, &cursor, NULL)))
        count += credential->kind == kind && credential->user == user;
    return count;
}

/* The new credential of an existing user, and the removal of those that `op->forget` names. */
static void start_credential(struct auth_op *op, const struct sp_store_compare *compare,
                             const char *label, const char *lost_why)
{
    SP_AUTO_BUF struct sp_buf value = {0};
    struct sp_store_op ops[AUTH_FORGET_MAX + 1];
    char keys[AUTH_FORGET_MAX + 1][AUTH_KEY_SIZE];
    size_t n = 0;

    for (; n < op->n_forget; n++) {
        auth_credential_key(op->forget_kind[n], op->forget[n], keys[n]);
        ops[n] = (struct sp_store_op){.op = SP_STORE_DELETE, .key = keys[n]};
    }
    auth_credential_key(op->kind, op->hash, keys[n]);
    auth_credential_value(op, label, &value);
    ops[n] =
        (struct sp_store_op){.op = SP_STORE_PUT, .key = keys[n], .value = sp_buf_slice(&value)};
    op_start(op, compare, ops, n + 1, SP_ERR_DENIED, lost_why);
}

static void forget_also(struct auth_op *op, const struct auth_credential *credential)
{
    op->forget_kind[op->n_forget] = credential->kind;
    memcpy(op->forget[op->n_forget++], credential->hash, AUTH_HASH_BYTES);
}

/* Room for one more of this kind: expired ones go, and of too many the one that ends first. */
static void make_room(struct auth_op *op, const struct sp_user *user, enum auth_kind kind,
                      size_t max)
{
    struct auth_credential *oldest = NULL;
    struct auth_credential *credential;
    int64_t now = sp_clock_wall_ms();
    size_t cursor = 0;
    size_t live = 0;

    while ((credential = sp_map_next(&op->auth->credentials, &cursor, NULL))) {
        bool expired = credential->expires_ms && credential->expires_ms <= now;

        if (expired && op->n_forget < AUTH_FORGET_MAX - 2)
            forget_also(op, credential);
        if (expired || credential->kind != kind || credential->user != user)
            continue;
        live++;
        if (!oldest || credential->expires_ms < oldest->expires_ms)
            oldest = credential;
    }
    if (live >= max && oldest)
        forget_also(op, oldest);
}

void sp_auth_add_token(struct sp_auth *auth, const char *user, const char *label,
                       sp_auth_secret_fn *done, void *arg)
{
    struct auth_op *op = op_new(auth, done, arg);
    const struct sp_user *owner = auth_find_user(auth, sp_slice_str(user));
    char key[AUTH_KEY_SIZE];

    if (!owner)
        (void)sp_error_set(&op->err, SP_ERR_NOT_FOUND, 0, "there is no such user");
    else if (count_of(auth, owner, AUTH_TOKEN) >= sp_config_int(auth->config, "users.max_tokens"))
        (void)sp_error_set(&op->err, SP_ERR_LIMIT, 0,
                           "this user has as many tokens as a user may have (users.max_tokens)");
    if (op->err.kind != SP_ERR_NONE) {
        finish_later(op);
        return;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", user);
    auth_make_secret(op, AUTH_TOKEN);
    auth_user_key(user, key);
    start_credential(op, &(struct sp_store_compare){.key = key, .op = SP_STORE_PRESENT},
                     label ? label : "", "there is no such user");
}

/* --- signing in and out ----------------------------------------------------------------------- */

void sp_auth_add_login(struct sp_auth *auth, const char *user, sp_auth_secret_fn *done, void *arg)
{
    struct auth_op *op = op_new(auth, done, arg);
    const struct sp_user *owner = auth_find_user(auth, sp_slice_str(user));
    char key[AUTH_KEY_SIZE];

    if (!owner) {
        (void)sp_error_set(&op->err, SP_ERR_NOT_FOUND, 0, "there is no such user");
        finish_later(op);
        return;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", user);
    op->expires_ms = sp_clock_wall_ms() + (int64_t)sp_config_duration(auth->config, "login.ttl");
    auth_make_secret(op, AUTH_LOGIN);
    make_room(op, owner, AUTH_LOGIN, sp_config_int(auth->config, "users.max_links"));
    auth_user_key(user, key);
    start_credential(op, &(struct sp_store_compare){.key = key, .op = SP_STORE_PRESENT}, "",
                     "there is no such user");
}

void sp_auth_login(struct sp_auth *auth, struct sp_slice secret, sp_auth_secret_fn *done, void *arg)
{
    struct auth_op *op = op_new(auth, done, arg);
    struct auth_credential *proof = auth_find(auth, secret);
    char key[AUTH_KEY_SIZE];

    if (!proof || proof->kind == AUTH_SESSION) {
        (void)sp_error_set(&op->err, SP_ERR_DENIED, 0, "the token or link is not valid");
        finish_later(op);
        return;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", proof->user->name);
    op->expires_ms = sp_clock_wall_ms() + (int64_t)sp_config_duration(auth->config, "session.ttl");
    auth_make_secret(op, AUTH_SESSION);
    make_room(op, proof->user, AUTH_SESSION, sp_config_int(auth->config, "users.max_sessions"));
    if (proof->kind == AUTH_LOGIN)
        forget_also(op, proof);
    /* The store decides who was first to spend a link: for the second it is absent. */
    auth_credential_key(proof->kind, proof->hash, key);
    start_credential(op, &(struct sp_store_compare){.key = key, .op = SP_STORE_PRESENT}, "",
                     "the token or link is not valid");
}

void sp_auth_logout(struct sp_auth *auth, struct sp_slice cookie, sp_auth_secret_fn *done,
                    void *arg)
{
    struct auth_op *op = op_new(auth, done, arg);
    struct auth_credential *session = auth_find(auth, cookie);
    char key[AUTH_KEY_SIZE];

    if (!session || session->kind != AUTH_SESSION) { /* over already is as good */
        finish_later(op);
        return;
    }
    (void)snprintf(op->user, sizeof(op->user), "%s", session->user->name);
    forget_also(op, session);
    auth_credential_key(AUTH_SESSION, session->hash, key);
    op_start(op, NULL, &(struct sp_store_op){.op = SP_STORE_DELETE, .key = key}, 1, SP_ERR_NONE,
             "");
}

/* --- who is it? ------------------------------------------------------------------------------- */

static void on_renewed(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct auth_op *op = arg;
    struct auth_credential *session = sp_map_get(&op->auth->credentials, auth_hash_slice(op->hash));

    (void)rev;
    if (session) {
        session->renewing = false;
        if (!err && succeeded)
            session->expires_ms = op->expires_ms;
    }
    op_finish(op);
}

/* Half of its time is over and it is used: it begins anew. Failing is harmless, it is tried again.
 */
static void renew(struct sp_auth *auth, struct auth_credential *session)
{
    int64_t ttl = (int64_t)sp_config_duration(auth->config, "session.ttl");
    int64_t now = sp_clock_wall_ms();
    SP_AUTO_BUF struct sp_buf value = {0};
    struct sp_store_op put = {.op = SP_STORE_PUT};
    struct sp_store_compare compare = {.op = SP_STORE_PRESENT};
    char key[AUTH_KEY_SIZE];
    struct auth_op *op;

    if (session->renewing || session->expires_ms - now > ttl / 2)
        return;
    op = op_new(auth, NULL, NULL);
    (void)snprintf(op->user, sizeof(op->user), "%s", session->user->name);
    memcpy(op->hash, session->hash, AUTH_HASH_BYTES);
    op->expires_ms = now + ttl;
    auth_credential_key(AUTH_SESSION, op->hash, key);
    auth_credential_value(op, "", &value);
    compare.key = put.key = key; /* not after a logout */
    put.value = sp_buf_slice(&value);
    session->renewing =
        sp_store_txn(auth->store,
                     &(struct sp_store_txn){
                         .compares = &compare, .n_compares = 1, .then = &put, .n_then = 1},
                     on_renewed, op, NULL) == 0;
    if (!session->renewing)
        op_finish(op);
}

const struct sp_user *sp_auth_by_token(struct sp_auth *auth, struct sp_slice token)
{
    const struct auth_credential *found = auth_find(auth, token);

    return found && found->kind == AUTH_TOKEN ? found->user : NULL;
}

const struct sp_user *sp_auth_by_session(struct sp_auth *auth, struct sp_slice cookie)
{
    struct auth_credential *found = auth_find(auth, cookie);

    if (!found || found->kind != AUTH_SESSION)
        return NULL;
    renew(auth, found);
    return found->user;
}

const struct sp_user *sp_auth_by_name(struct sp_auth *auth, struct sp_slice name)
{
    return auth_find_user(auth, name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct sp_user *const *)a)->name,
                  (*(const struct sp_user *const *)b)->name);
}

void sp_auth_each(struct sp_auth *auth, void (*each)(void *arg, const struct sp_user *user),
                  void *arg)
{
    size_t n = auth->users.count;
    SP_AUTO_FREE const struct sp_user **users = sp_new0n(const struct sp_user *, n + 1);
    size_t cursor = 0;

    for (size_t i = 0; i < n; i++)
        users[i] = sp_map_next(&auth->users, &cursor, NULL);
    qsort(users, n, sizeof(*users), by_name);
    for (size_t i = 0; i < n; i++)
        each(arg, users[i]);
}

void sp_auth_free(struct sp_auth *auth)
{
    if (auth)
        sp_auth_unref(auth); /* what the store still answers holds a reference of its own */
}
