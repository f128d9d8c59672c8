#include "base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

void sp_random(void *ret, size_t len)
{
    char *to = ret;

    while (len) {
        /* Not glibc's, which from 2.41 on maps memory at first: a filter may forbid that. */
        ssize_t n = syscall(SYS_getrandom, to, len, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort();
        to += n;
        len -= (size_t)n;
    }
}

void sp_id_random(struct sp_id *ret)
{
    /* One system call makes 64 ids; a request must not pay for one each. */
    static __thread struct sp_id pool[64];
    static __thread unsigned left;

    if (left == 0) {
        sp_random(pool, sizeof(pool));
        left = sizeof(pool) / sizeof(pool[0]);
    }
    *ret = pool[--left];
    pool[left] = (struct sp_id){0};
}

bool sp_id_eq(const struct sp_id *a, const struct sp_id *b)
{
    return sp_slice_eq_secret(sp_slice((const char *)a->bytes, sizeof(a->bytes)),
                              sp_slice((const char *)b->bytes, sizeof(b->bytes)));
}

void sp_hex(const uint8_t *bytes, size_t len, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret[2 * len] = '\0';
}

void sp_id_to_hex(const struct sp_id *id, char ret[SP_ID_HEX])
{
    sp_hex(id->bytes, sizeof(id->bytes), ret);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sp_id_from_hex(struct sp_slice hex, struct sp_id *ret)
{
    struct sp_id id;

    if (hex.len != 2 * sizeof(id.bytes))
        return false;
    for (size_t i = 0; i < sizeof(id.bytes); i++) {
        int high = digit(hex.ptr[2 * i]);
        int low = digit(hex.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        id.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *ret = id;
    return true;
}
