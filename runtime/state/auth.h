/*
 * runtime/state/auth.h - users, access tokens, browser sessions, one-time login links.
 *
 * Kept in the store under /users, /tokens, /sessions; a copy in memory answers each request
 * without a wait. Only hashes of secrets are stored (BLAKE2b by libsodium). Every change is stored
 * before its callback says so.
 */
#ifndef SP_RUNTIME_STATE_AUTH_H
#define SP_RUNTIME_STATE_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct sp_auth;
struct sp_config;
struct sp_error;
struct sp_store;

struct sp_user {
    char name[97];
    bool is_admin;
    int64_t created_ms;
};

#define SP_TOKEN_LEN 40 /* "sp_" and 36 characters, with the terminator below */

/* Loads everything from the store, then calls `ready` once (with an error or NULL). */
struct sp_auth *sp_auth_new(struct sp_store *store, const struct sp_config *config,
                            void (*ready)(void *arg, const struct sp_error *err), void *arg);
void sp_auth_free(struct sp_auth *auth);

/* The user behind a bearer token or a session cookie's value; NULL when it is not valid. Borrowed
 * until the user is removed. */
const struct sp_user *sp_auth_by_token(struct sp_auth *auth, struct sp_slice token);
const struct sp_user *sp_auth_by_session(struct sp_auth *auth, struct sp_slice cookie);
const struct sp_user *sp_auth_by_name(struct sp_auth *auth, struct sp_slice name);
/* Calls `each` in order of name. */
void sp_auth_each(struct sp_auth *auth, void (*each)(void *arg, const struct sp_user *user),
                  void *arg);

/* `secret` is the new token, session cookie or link secret; valid during the callback. */
typedef void sp_auth_secret_fn(void *arg, const struct sp_error *err, const struct sp_user *user,
                               const char *secret);

/* A user with a first token. SP_ERR_CONFLICT when taken, SP_ERR_INVALID for a bad name. */
void sp_auth_add_user(struct sp_auth *auth, const char *name, bool is_admin,
                      sp_auth_secret_fn *done, void *arg);
/* The existing user gets one more token. */
void sp_auth_add_token(struct sp_auth *auth, const char *user, const char *label,
                       sp_auth_secret_fn *done, void *arg);
/* A one-time secret for /login#SECRET, valid for login.ttl. */
void sp_auth_add_login(struct sp_auth *auth, const char *user, sp_auth_secret_fn *done, void *arg);
/* Token or one-time secret in, session cookie out; a one-time secret is spent. SP_ERR_DENIED. */
void sp_auth_login(struct sp_auth *auth, struct sp_slice secret, sp_auth_secret_fn *done,
                   void *arg);
void sp_auth_logout(struct sp_auth *auth, struct sp_slice cookie, sp_auth_secret_fn *done,
                    void *arg);

#endif
