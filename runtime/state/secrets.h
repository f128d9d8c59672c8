/*
 * runtime/state/secrets.h - short texts that are stored so that the store alone does not tell them.
 *
 * Sealed with a key of this state folder, in the file secrets.key (0600, 32 random bytes), which is
 * not in the store: whoever has a copy of the one needs the other too. Each is bound to a context,
 * so that one that is moved to another place does not open there.
 */
#ifndef SP_RUNTIME_STATE_SECRETS_H
#define SP_RUNTIME_STATE_SECRETS_H

#include <stddef.h>

#include "base/str.h"

struct sp_error;
struct sp_secrets;

/* Reads the key of the working folder, or makes one. */
int sp_secrets_open(struct sp_secrets **ret, struct sp_error *err);
/* Forgets the key. NULL is fine. */
void sp_secrets_free(struct sp_secrets *secrets);

/* `*ret` is text (base64), yours. */
void sp_secrets_seal(const struct sp_secrets *secrets, const char *context, struct sp_slice plain,
                     char **ret);
/* `*ret` is terminated and yours; erase it with sp_secrets_erase. */
int sp_secrets_unseal(const struct sp_secrets *secrets, const char *context, const char *sealed,
                      char **ret, struct sp_error *err);
/* Overwrites and frees; NULL is fine. */
void sp_secrets_erase(char *plain);

#endif
