/*
 * base/mem.h - allocation that cannot fail, and cleanup by attribute.
 *
 * Small fixed allocations go through sp_new and abort when memory is out: state is on disk and
 * the daemon is restarted. Anything sized by outside input is bounded first and uses malloc.
 */
#ifndef SP_BASE_MEM_H
#define SP_BASE_MEM_H

#include <stddef.h>
#include <stdlib.h>

/* Zeroed memory for one thing, or for n of them; aborts when there is none. */
#define sp_new0(type)     ((type *)sp_alloc0(1, sizeof(type)))
#define sp_new0n(type, n) ((type *)sp_alloc0((n), sizeof(type)))

void *sp_alloc0(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
/* Grows or shrinks; aborts when memory is out or n * size overflows. */
void *sp_realloc(void *ptr, size_t n, size_t size) __attribute__((returns_nonnull));
char *sp_strdup(const char *s) __attribute__((malloc, returns_nonnull));
char *sp_strndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
/* printf into fresh memory; aborts when memory is out. */
char *sp_asprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

void sp_auto_free(void *ptr); /* `ptr` is the address of the variable */

/* Frees the variable's value when it goes out of scope. */
#define SP_AUTO_FREE __attribute__((cleanup(sp_auto_free)))

/* Hands a value on and clears the variable, so that its cleanup does nothing. */
#define SP_TAKE(var)                                                                               \
    ({                                                                                             \
        __typeof__(var) v_ = (var);                                                                \
        (var) = NULL;                                                                              \
        v_;                                                                                        \
    })

/* The value of a flag, which is cleared. */
#define SP_TAKE_FLAG(var)                                                                          \
    ({                                                                                             \
        __typeof__(var) f_ = (var);                                                                \
        (var) = 0;                                                                                 \
        f_;                                                                                        \
    })

#define SP_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* The object that holds `ptr` as its field `member`. */
#define SP_CONTAINER(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
