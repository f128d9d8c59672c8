#include "runtime/state/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"

#define KEY_FILE  "secrets.key"
#define KEY_LEN   crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define NONCE_LEN crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_LEN   crypto_aead_xchacha20poly1305_ietf_ABYTES
#define PLAIN_MAX ((size_t)64 << 10)
#define BASE64    sodium_base64_VARIANT_ORIGINAL

struct sp_secrets {
    unsigned char key[KEY_LEN];
};

static int make_key(struct sp_secrets *secrets, struct sp_error *err)
{
    randombytes_buf(secrets->key, KEY_LEN);
    return sp_file_replace(AT_FDCWD, KEY_FILE, 0600, sp_slice((char *)secrets->key, KEY_LEN), err);
}

int sp_secrets_open(struct sp_secrets **ret, struct sp_error *err)
{
    struct sp_secrets *secrets;
    char *text = NULL;
    size_t len = 0;
    int r;

    if (sodium_init() < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "start libsodium");
    secrets = sodium_malloc(sizeof(*secrets)); /* not swapped, not in a core */
    if (!secrets)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "lock memory for a key");
    r = sp_file_read(AT_FDCWD, KEY_FILE, KEY_LEN, &text, &len, err);
    if (r == -ENOENT) {
        r = make_key(secrets, err);
    } else if (r == 0 && len != KEY_LEN) {
        r = sp_error_set(err, SP_ERR_INTERNAL, 0, "'" KEY_FILE "' is not a key of %u bytes",
                         KEY_LEN);
    } else if (r == 0) {
        memcpy(secrets->key, text, KEY_LEN);
        sodium_memzero(text, KEY_LEN);
    }
    free(text);
    if (r < 0)
        sodium_free(secrets);
    else
        *ret = secrets;
    return r;
}

void sp_secrets_free(struct sp_secrets *secrets)
{
    sodium_free(secrets);
}

void sp_secrets_seal(const struct sp_secrets *secrets, const char *context, struct sp_slice plain,
                     char **ret)
{
    size_t len = NONCE_LEN + plain.len + TAG_LEN, text_len = sodium_base64_ENCODED_LEN(len, BASE64);
    SP_AUTO_FREE unsigned char *box = sp_alloc0(len, 1);
    char *text = sp_alloc0(text_len, 1);

    randombytes_buf(box, NONCE_LEN);
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt(
        box + NONCE_LEN, NULL, (const unsigned char *)plain.ptr, plain.len,
        (const unsigned char *)context, strlen(context), NULL, box, secrets->key);
    *ret = sodium_bin2base64(text, text_len, box, len, BASE64);
}

int sp_secrets_unseal(const struct sp_secrets *secrets, const char *context, const char *sealed,
                      char **ret, struct sp_error *err)
{
    size_t most = strlen(sealed), len = 0;
    SP_AUTO_FREE unsigned char *box = sp_alloc0(most + 1, 1);
    char *plain;

    if (most > 2 * PLAIN_MAX ||
        sodium_base642bin(box, most, sealed, most, NULL, &len, NULL, BASE64) < 0 ||
        len < NONCE_LEN + TAG_LEN)
        return sp_error_set(err, SP_ERR_INTERNAL, 0, "what is stored of it is damaged");
    plain = sp_alloc0(len, 1);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)plain, NULL, NULL, box + NONCE_LEN, len - NONCE_LEN,
            (const unsigned char *)context, strlen(context), box, secrets->key) < 0) {
        free(plain);
        return sp_error_set(err, SP_ERR_INTERNAL, 0,
                            "'" KEY_FILE "' is not the key that it was sealed with: set it anew");
    }
    *ret = plain;
    return 0;
}

void sp_secrets_erase(char *plain)
{
    if (plain)
        sodium_memzero(plain, strlen(plain));
    free(plain);
}
