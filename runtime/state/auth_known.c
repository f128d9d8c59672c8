/*
 * Users and their secrets. A secret is 36 random base62 characters, 214 bits: what is stored is its
 * plain BLAKE2b hash. No salt and no slow hash are needed, because nobody guesses 214 bits; and a
 * stolen database contains nothing to sign in with.
 */
#include "runtime/state/auth-internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

/* --- secrets ---------------------------------------------------------------------------------- */

/* Each character has the same chance: bytes above the last multiple of 62 are thrown away. */
static void random_base62(char *ret, size_t len)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t made = 0;

    while (made < len) {
        uint8_t bytes[64];

        sp_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(bytes) && made < len; i++)
            if (bytes[i] < 248)
                ret[made++] = digits[bytes[i] % 62];
        sodium_memzero(bytes, sizeof(bytes));
    }
}

static void hash_secret(struct sp_slice secret, uint8_t ret[AUTH_HASH_BYTES])
{
    (void)crypto_generichash(ret, AUTH_HASH_BYTES, (const unsigned char *)secret.ptr, secret.len,
                             NULL, 0);
}

/* The kinds have different beginnings, so that a leaked one can be recognised for what it is. */
void auth_make_secret(struct auth_op *op, enum auth_kind kind)
{
    static const char *const prefixes[] = {"sp_", "sps_", "spl_"};
    size_t len = strlen(prefixes[kind]);

    memcpy(op->secret, prefixes[kind], len);
    random_base62(op->secret + len, AUTH_SECRET_RANDOM);
    op->secret[len + AUTH_SECRET_RANDOM] = '\0';
    op->kind = kind;
    hash_secret(sp_slice_str(op->secret), op->hash);
}

/* --- what is known ---------------------------------------------------------------------------- */

struct sp_slice auth_hash_slice(const uint8_t *hash)
{
    return sp_slice((const char *)hash, AUTH_HASH_BYTES);
}

struct auth_credential *auth_find(struct sp_auth *auth, struct sp_slice secret)
{
    struct auth_credential *found;
    uint8_t hash[AUTH_HASH_BYTES];

    if (secret.len == 0 || secret.len > AUTH_SECRET_MAX)
        return NULL; /* not worth hashing */
    hash_secret(secret, hash);
    found = sp_map_get(&auth->credentials, auth_hash_slice(hash));
    if (!found || (found->expires_ms && found->expires_ms <= sp_clock_wall_ms()))
        return NULL;
    return found;
}

/* Names differ by more than case: "Alice" could pose as "alice". */
static void lower(struct sp_slice name, char ret[SP_AUTH_NAME_SIZE])
{
    size_t i = 0;

    for (; i < name.len && i < SP_AUTH_NAME_SIZE - 1; i++)
        ret[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] + 32) : name.ptr[i];
    ret[i] = '\0';
}

struct sp_user *auth_find_user(struct sp_auth *auth, struct sp_slice name)
{
    char key[SP_AUTH_NAME_SIZE];
    struct sp_user *user;

    if (name.len >= sizeof(key))
        return NULL;
    lower(name, key);
    user = sp_map_get(&auth->users, sp_slice_str(key));
    return user && sp_slice_eq_str(name, user->name) ? user : NULL;
}

void sp_auth_remember_user(struct sp_auth *auth, const struct sp_user *user)
{
    struct sp_user *copy = sp_new0(struct sp_user);
    char key[SP_AUTH_NAME_SIZE];

    *copy = *user;
    lower(sp_slice_str(user->name), key);
    free(sp_map_put(&auth->users, sp_slice_str(key), copy));
}

void sp_auth_remember_credential(struct sp_auth *auth, enum auth_kind kind,
                                 const uint8_t hash[AUTH_HASH_BYTES], const char *user,
                                 int64_t expires_ms)
{
    struct auth_credential *credential;
    struct sp_user *owner = auth_find_user(auth, sp_slice_str(user));

    if (!owner)
        return; /* the user was removed */
    credential = sp_new0(struct auth_credential);
    credential->kind = kind;
    credential->user = owner;
    credential->expires_ms = expires_ms;
    memcpy(credential->hash, hash, AUTH_HASH_BYTES);
    free(sp_map_put(&auth->credentials, auth_hash_slice(hash), credential));
}

void auth_forget(struct sp_auth *auth, const uint8_t hash[AUTH_HASH_BYTES])
{
    free(sp_map_remove(&auth->credentials, auth_hash_slice(hash)));
}

void sp_auth_unref(struct sp_auth *auth)
{
    size_t cursor = 0;
    void *item;

    if (--auth->refs > 0)
        return;
    while ((item = sp_map_next(&auth->credentials, &cursor, NULL)))
        free(item);
    cursor = 0;
    while ((item = sp_map_next(&auth->users, &cursor, NULL)))
        free(item);
    sp_map_done(&auth->credentials);
    sp_map_done(&auth->users);
    free(auth);
}

/* --- keys and values -------------------------------------------------------------------------- */

static const char *const kind_prefixes[] = {AUTH_TOKENS, AUTH_SESSIONS, AUTH_LOGINS};

void auth_credential_key(enum auth_kind kind, const uint8_t hash[AUTH_HASH_BYTES],
                         char ret[AUTH_KEY_SIZE])
{
    char hex[2 * AUTH_HASH_BYTES + 1];

    sp_hex(hash, AUTH_HASH_BYTES, hex);
    (void)snprintf(ret, AUTH_KEY_SIZE, "%s%s", kind_prefixes[kind], hex);
}

void auth_user_key(const char *name, char ret[AUTH_KEY_SIZE])
{
    char lowered[SP_AUTH_NAME_SIZE];

    lower(sp_slice_str(name), lowered);
    (void)snprintf(ret, AUTH_KEY_SIZE, "%s%s", AUTH_USERS, lowered);
}

void auth_user_value(const struct sp_user *user, struct sp_buf *buf)
{
    SP_AUTO_JSON json_t *value =
        json_pack("{s:s, s:b, s:I}", "name", user->name, "admin", user->is_admin, "created_ms",
                  (json_int_t)user->created_ms);

    (void)sp_json_dump(value, buf);
}

void auth_credential_value(const struct auth_op *op, const char *label, struct sp_buf *buf)
{
    SP_AUTO_JSON json_t *value =
        json_pack("{s:s, s:s, s:I, s:I}", "user", op->user, "label",
                  sp_utf8_valid(label, strlen(label)) ? label : "", "created_ms",
                  (json_int_t)sp_clock_wall_ms(), "expires_ms", (json_int_t)op->expires_ms);

    (void)sp_json_dump(value, buf);
}
