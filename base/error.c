#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One row per kind: its name, HTTP status, exit code of the command line, errno of last resort. */
static const struct {
    const char *name;
    int http;
    int exit;
    int sys;
} kinds[] = {
    [SP_ERR_NONE] = {"none", 200, 0, 0},
    [SP_ERR_INVALID] = {"invalid", 400, 2, -EINVAL},
    [SP_ERR_NOT_FOUND] = {"not_found", 404, 3, -ENOENT},
    [SP_ERR_CONFLICT] = {"conflict", 409, 4, -EEXIST},
    [SP_ERR_DENIED] = {"denied", 403, 5, -EACCES},
    [SP_ERR_LIMIT] = {"limit", 429, 6, -EDQUOT},
    [SP_ERR_UNAVAILABLE] = {"unavailable", 503, 7, -EAGAIN},
    [SP_ERR_INTERNAL] = {"internal", 500, 1, -EIO},
};

int sp_error_set(struct sp_error *err, enum sp_err_kind kind, int sys, const char *fmt, ...)
{
    int ret = sys < 0 ? sys : kinds[kind].sys;
    va_list ap;
    size_t len;

    if (!err)
        return ret;

    err->kind = kind;
    err->sys = ret;
    va_start(ap, fmt);
    (void)vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
    va_end(ap);

    len = strlen(err->msg);
    if (sys < 0)
        (void)snprintf(err->msg + len, sizeof(err->msg) - len, ": %s", strerror(-sys));
    return ret;
}

int sp_error_wrap(struct sp_error *err, const char *fmt, ...)
{
    char context[sizeof(err->msg)];
    char inner[sizeof(err->msg)];
    va_list ap;

    if (!err)
        return -EIO;

    va_start(ap, fmt);
    (void)vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);

    memcpy(inner, err->msg, sizeof(inner));
    /* Truncation is the contract: the outermost context matters most. */
    (void)snprintf(err->msg, sizeof(err->msg), "%.*s: %.*s", 250, context, 250, inner);
    return err->sys < 0 ? err->sys : -EIO;
}

const char *sp_err_kind_to_string(enum sp_err_kind kind)
{
    return kinds[kind].name;
}

int sp_err_kind_to_http(enum sp_err_kind kind)
{
    return kinds[kind].http;
}

int sp_err_kind_to_exit(enum sp_err_kind kind)
{
    return kinds[kind].exit;
}
