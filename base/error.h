/*
 * base/error.h - what went wrong, as a value that a person can read.
 *
 * Functions that can fail return 0 or a negative errno and tell the story in an
 * optional last argument. There is nothing to free.
 */
#ifndef SP_BASE_ERROR_H
#define SP_BASE_ERROR_H

#include <stdarg.h>

/* What the caller can do about it. The order is the order of the tables in error.c. */
enum sp_err_kind {
    SP_ERR_NONE,
    SP_ERR_INVALID,     /* the input is wrong: mend it and ask again */
    SP_ERR_NOT_FOUND,   /* there is no such thing, or you may not know of it */
    SP_ERR_CONFLICT,    /* it exists already, or changed meanwhile */
    SP_ERR_DENIED,      /* you may not */
    SP_ERR_LIMIT,       /* a limit is reached; the message names the setting */
    SP_ERR_UNAVAILABLE, /* not now: try again later */
    SP_ERR_INTERNAL,    /* the host failed, or we have a bug */
};

struct sp_error {
    enum sp_err_kind kind; /* what the caller can do about it */
    int sys;               /* negative errno behind it, or 0 */
    char msg[512];         /* for a person: outermost context first, no full stop */
};

/*
 * Fills `err` (NULL is fine) and returns a negative errno: `sys` when it is negative, otherwise
 * one that fits the kind. When `sys` is given its strerror text is appended: "open '/x': No such
 * file or directory".
 */
int sp_error_set(struct sp_error *err, enum sp_err_kind kind, int sys, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " in front of the message and returns err->sys, or -EIO where there is none. */
int sp_error_wrap(struct sp_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "invalid", "not_found", ... : stable, used in JSON answers and logs. */
const char *sp_err_kind_to_string(enum sp_err_kind kind);

/* The HTTP status an answer with this error carries: 400, 404, 409, 403, 429, 503, 500. */
int sp_err_kind_to_http(enum sp_err_kind kind);

/* The exit code of the command line: 2 invalid, 3 not found, 4 conflict, 5 denied, 6 limit,
 * 7 unavailable, 1 anything else. */
int sp_err_kind_to_exit(enum sp_err_kind kind);

#endif
