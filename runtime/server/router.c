/* Paths to handlers: the pattern table, compiled once. */
#include "runtime/server/server-internal.h"

#include <assert.h>

#include "base/mem.h"

struct compiled {
    const struct sp_route *route;
    unsigned methods;   /* bit for each enum sp_http_method */
    size_t literal_len; /* of the pattern's front, before the first name: a cheap first test */
};

struct sp_router {
    size_t n;
    struct compiled *compiled;
};

static unsigned method_bit(struct sp_slice name)
{
    for (int method = SP_HTTP_GET; method < SP_HTTP_OTHER; method++)
        if (sp_slice_eq_str(name, sp_http_method_to_string((enum sp_http_method)method)))
            return 1u << method;
    assert(!"a route names a method that we do not know");
    return 0;
}

static unsigned parse_methods(const char *methods)
{
    struct sp_slice rest = sp_slice_str(methods);
    struct sp_slice name;
    unsigned bits = 0;

    while (sp_slice_split(&rest, ' ', &name))
        if (name.len)
            bits |= method_bit(name);
    if (bits & 1u << SP_HTTP_GET)
        bits |= 1u << SP_HTTP_HEAD;
    return bits;
}

struct sp_router *sp_router_new(const struct sp_route *routes)
{
    struct sp_router *router = sp_new0(struct sp_router);

    while (routes[router->n].pattern)
        router->n++;
    router->compiled = sp_new0n(struct compiled, router->n + 1);
    for (size_t i = 0; i < router->n; i++) {
        router->compiled[i].route = &routes[i];
        router->compiled[i].methods = parse_methods(routes[i].methods);
        router->compiled[i].literal_len = strcspn(routes[i].pattern, ":*");
    }
    return router;
}

void sp_router_free(struct sp_router *router)
{
    if (!router)
        return;
    free(router->compiled);
    free(router);
}

/* A piece of the path that a name of the pattern has taken. */
struct captures {
    struct sp_slice values[8];
    size_t n;
};

static bool capture(struct captures *captures, const char *begin, const char *end)
{
    assert(captures->n < SP_LEN(captures->values));
    captures->values[captures->n++] = sp_slice(begin, (size_t)(end - begin));
    return true;
}

/* `path` is decoded and terminated; an encoded '/' has been refused before. */
static bool matches(const char *pattern, const char *path, struct captures *captures)
{
    captures->n = 0;
    while (*pattern) {
        if (*pattern == '*')
            return capture(captures, path, path + strlen(path));
        if (*pattern == ':') {
            size_t len = strcspn(path, "/");

            if (len == 0)
                return false;
            (void)capture(captures, path, path + len);
            path += len;
            pattern += strcspn(pattern, "/");
            continue;
        }
        if (*pattern++ != *path++)
            return false;
    }
    return *path == '\0';
}

static char *join_captures(const struct captures *captures)
{
    size_t len = 0;
    char *values;
    char *at;

    for (size_t i = 0; i < captures->n; i++)
        len += captures->values[i].len + 1;
    if (len == 0)
        return NULL;
    at = values = sp_realloc(NULL, len, 1);
    for (size_t i = 0; i < captures->n; i++) {
        memcpy(at, captures->values[i].ptr, captures->values[i].len);
        at += captures->values[i].len;
        *at++ = '\0';
    }
    return values;
}

static void list_methods(unsigned bits, char *ret, size_t size)
{
    size_t at = 0;

    ret[0] = '\0';
    for (int method = SP_HTTP_GET; method < SP_HTTP_OTHER; method++)
        if (bits & 1u << method && at < size)
            at += (size_t)snprintf(ret + at, size - at, "%s%s", at ? ", " : "",
                                   sp_http_method_to_string((enum sp_http_method)method));
}

enum sp_route_result sp_router_find(const struct sp_router *router,
                                    const struct sp_http_request *req, struct sp_route_match *ret)
{
    char path[SP_HTTP_TARGET_MAX + 1];
    struct captures captures;
    unsigned allowed = 0;
    long len = sp_http_percent_decode(req->path, true, path, sizeof(path));

    if (len < 0)
        return SP_ROUTE_BAD_PATH;
    for (size_t i = 0; i < router->n; i++) {
        const struct compiled *at = &router->compiled[i];

        if ((size_t)len < at->literal_len || memcmp(path, at->route->pattern, at->literal_len) != 0)
            continue;
        if (!matches(at->route->pattern, path, &captures))
            continue;
        if (req->method != SP_HTTP_OTHER && at->methods & 1u << req->method) {
            ret->route = at->route;
            ret->params = join_captures(&captures);
            return SP_ROUTE_FOUND;
        }
        allowed |= at->methods;
    }
    if (!allowed)
        return SP_ROUTE_NOT_FOUND;
    list_methods(allowed, ret->allow, sizeof(ret->allow));
    return SP_ROUTE_METHOD;
}

const char *sp_route_param(const struct sp_route *route, const char *params, const char *name)
{
    const char *at = strpbrk(route->pattern, ":*");
    size_t wanted = strlen(name);

    while (at) {
        size_t len = strcspn(at + 1, "/");

        if (len == wanted && memcmp(at + 1, name, len) == 0)
            return params;
        params += strlen(params) + 1;
        at = strpbrk(at + 1 + len, ":*");
    }
    return "";
}
