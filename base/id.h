/* base/id.h - random identifiers and their hexadecimal form. Random bytes come from getrandom(2).
 */
#ifndef SP_BASE_ID_H
#define SP_BASE_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* 128 random bits: event ids, session ids, secrets. */
struct sp_id {
    uint8_t bytes[16];
};
#define SP_ID_HEX 33 /* 32 digits and the terminator */

/* Aborts when the kernel gives no randomness: nothing here is safe without. */
void sp_random(void *ret, size_t len);
void sp_id_random(struct sp_id *ret);
bool sp_id_eq(const struct sp_id *a, const struct sp_id *b); /* constant time */
void sp_id_to_hex(const struct sp_id *id, char ret[SP_ID_HEX]);
/* Exactly 32 lower-case hexadecimal digits. */
bool sp_id_from_hex(struct sp_slice hex, struct sp_id *ret);
/* `len` bytes as 2*len lower-case digits and a terminator. */
void sp_hex(const uint8_t *bytes, size_t len, char *ret);

#endif
