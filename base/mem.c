#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void *checked(void *ptr)
{
    if (!ptr) {
        (void)fputs("fatal: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *sp_alloc0(size_t n, size_t size)
{
    return checked(calloc(n, size));
}

void *sp_realloc(void *ptr, size_t n, size_t size)
{
    return checked(reallocarray(ptr, n ? n : 1, size));
}

char *sp_strdup(const char *s)
{
    return checked(strdup(s));
}

char *sp_strndup(const char *s, size_t len)
{
    return checked(strndup(s, len));
}

char *sp_asprintf(const char *fmt, ...)
{
    char *ret = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&ret, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : ret);
}

void sp_auto_free(void *ptr)
{
    free(*(void **)ptr);
}
