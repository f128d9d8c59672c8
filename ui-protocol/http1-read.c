/* The lookups of http1.h in a request that has been parsed. */
#include "ui-protocol/http1.h"

#include "ui-protocol/http1-internal.h"

bool sp_http_list_has(struct sp_slice list, const char *token)
{
    struct sp_slice item;

    while (sp_slice_split(&list, ',', &item))
        if (sp_slice_eq_nocase(sp_slice_trim(item), token))
            return true;
    return false;
}

const char *sp_http_method_to_string(enum sp_http_method method)
{
    static const char *const names[] = {
        [SP_HTTP_GET] = "GET",         [SP_HTTP_HEAD] = "HEAD",   [SP_HTTP_POST] = "POST",
        [SP_HTTP_PUT] = "PUT",         [SP_HTTP_PATCH] = "PATCH", [SP_HTTP_DELETE] = "DELETE",
        [SP_HTTP_OPTIONS] = "OPTIONS", [SP_HTTP_OTHER] = "OTHER",
    };

    return names[method];
}

struct sp_slice sp_http_header(const struct sp_http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (sp_slice_eq_nocase(req->headers[i].name, name))
            return req->headers[i].value;
    return (struct sp_slice){0};
}

/* The value of `name` in one Cookie header (RFC 6265 4.2.1). */
static struct sp_slice find_cookie(struct sp_slice cookies, const char *name)
{
    size_t n = strlen(name);
    struct sp_slice item;

    while (sp_slice_split(&cookies, ';', &item)) {
        item = sp_slice_trim(item);
        if (item.len > n && item.ptr[n] == '=' && memcmp(item.ptr, name, n) == 0)
            return sp_slice(item.ptr + n + 1, item.len - n - 1);
    }
    return (struct sp_slice){0};
}

struct sp_slice sp_http_cookie(const struct sp_http_request *req, const char *name)
{
    for (size_t i = 0; i < req->n_headers; i++) {
        struct sp_slice found;

        if (!sp_slice_eq_nocase(req->headers[i].name, "cookie"))
            continue;
        found = find_cookie(req->headers[i].value, name);
        if (found.ptr)
            return found;
    }
    return (struct sp_slice){0};
}

bool sp_http_header_has_token(const struct sp_http_request *req, const char *name,
                              const char *token)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (sp_slice_eq_nocase(req->headers[i].name, name) &&
            sp_http_list_has(req->headers[i].value, token))
            return true;
    return false;
}
