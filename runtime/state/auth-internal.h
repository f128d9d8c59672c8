/*
 * runtime/state/auth-internal.h - between auth.c (who is it, and changes), auth_known.c (secrets,
 * what is in memory and how it is stored) and auth_load.c (at start).
 */
#ifndef SP_RUNTIME_STATE_AUTH_INTERNAL_H
#define SP_RUNTIME_STATE_AUTH_INTERNAL_H

#include <sodium.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/map.h"
#include "runtime/state/auth.h"
#include "runtime/state/store.h"

#define AUTH_USERS    "/users/"
#define AUTH_TOKENS   "/tokens/"
#define AUTH_SESSIONS "/sessions/"
#define AUTH_LOGINS   "/logins/"

#define AUTH_HASH_BYTES    32
#define AUTH_SECRET_RANDOM 36 /* base62 characters: 214 bits */
#define AUTH_SECRET_MAX    64 /* longer ones are not hashed */
#define AUTH_KEY_SIZE      128
#define SP_AUTH_NAME_SIZE  97

#define AUTH_FORGET_MAX 64 /* credentials removed in one transaction */

enum auth_kind { AUTH_TOKEN, AUTH_SESSION, AUTH_LOGIN };

struct auth_credential {
    enum auth_kind kind;
    bool renewing;
    struct sp_user *user;
    int64_t expires_ms; /* wall clock; 0 = never */
    uint8_t hash[AUTH_HASH_BYTES];
};

struct sp_auth {
    struct sp_store *store;
    const struct sp_config *config;
    struct sp_map users;       /* lower-case name -> struct sp_user */
    struct sp_map credentials; /* hash -> struct auth_credential */
    unsigned refs;             /* the owner's, and one for each question at the store */

    /* while loading */
    int stage;
    void (*ready)(void *arg, const struct sp_error *err);
    void *ready_arg;
};

/* One change on its way through the store. */
struct auth_op {
    struct sp_auth *auth;
    sp_auth_secret_fn *done;
    void *arg;
    char user[SP_AUTH_NAME_SIZE];
    struct sp_user new_user;          /* name empty for none */
    enum auth_kind kind;              /* of the new credential */
    char secret[AUTH_SECRET_MAX + 1]; /* empty for none */
    uint8_t hash[AUTH_HASH_BYTES];
    int64_t expires_ms;
    size_t n_forget;
    enum auth_kind forget_kind[AUTH_FORGET_MAX];
    uint8_t forget[AUTH_FORGET_MAX][AUTH_HASH_BYTES];
    enum sp_err_kind lost_kind; /* when the store's comparison fails */
    const char *lost_why;
    struct sp_error err;
};

/* A new secret of this kind into `op`, with its hash. */
void auth_make_secret(struct auth_op *op, enum auth_kind kind);
struct sp_slice auth_hash_slice(const uint8_t *hash);
/* NULL when unknown or expired. */
struct auth_credential *auth_find(struct sp_auth *auth, struct sp_slice secret);
struct sp_user *auth_find_user(struct sp_auth *auth, struct sp_slice name);
void auth_forget(struct sp_auth *auth, const uint8_t hash[AUTH_HASH_BYTES]);

void auth_credential_key(enum auth_kind kind, const uint8_t hash[AUTH_HASH_BYTES],
                         char ret[AUTH_KEY_SIZE]);
void auth_user_key(const char *name, char ret[AUTH_KEY_SIZE]);
void auth_user_value(const struct sp_user *user, struct sp_buf *buf);
void auth_credential_value(const struct auth_op *op, const char *label, struct sp_buf *buf);

void sp_auth_remember_user(struct sp_auth *auth, const struct sp_user *user);
/* Without effect when there is no such user. */
void sp_auth_remember_credential(struct sp_auth *auth, enum auth_kind kind,
                                 const uint8_t hash[AUTH_HASH_BYTES], const char *user,
                                 int64_t expires_ms);
void sp_auth_unref(struct sp_auth *auth);

#endif
