/* Patterns and paths; addresses and networks. */
#include "runtime/server/server-internal.h"

#include "base/error.h"
#include "base/mem.h"
#include "tests/support/test.h"

static void nothing(struct sp_exchange *ex)
{
    (void)ex;
}

#define ROW(methods, pattern)                                                                      \
    {                                                                                              \
        methods, pattern, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, nothing                            \
    }

static const struct sp_route routes[] = {
    ROW("GET", "/"),
    ROW("GET", "/spaces"),
    ROW("GET", "/spaces/:owner/:name"),
    ROW("DELETE PUT", "/spaces/:owner/:name"),
    ROW("GET", "/spaces/new/special"),
    ROW("GET POST", "/app/:owner/:name/*rest"),
    ROW("GET", "/api/*path"),
    {NULL, NULL, SP_ACCESS_ANYONE, SP_BODY_NONE, NULL, NULL},
};

static struct sp_route_match match;

static enum sp_route_result find(enum sp_http_method method, const char *path)
{
    struct sp_router *router = sp_router_new(routes);
    struct sp_http_request *req = sp_new0(struct sp_http_request);
    enum sp_route_result result;

    free(match.params);
    match = (struct sp_route_match){0};
    req->method = method;
    req->path = sp_slice_str(path);
    result = sp_router_find(router, req, &match);
    free(req);
    sp_router_free(router);
    return result;
}

static const char *param(const char *name)
{
    return match.params ? sp_route_param(match.route, match.params, name) : "";
}

static void test_literals_match_whole(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_GET, "/"), SP_ROUTE_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/spaces"), SP_ROUTE_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/spaces/"), SP_ROUTE_NOT_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/space"), SP_ROUTE_NOT_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/spacesx"), SP_ROUTE_NOT_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/%73paces"), SP_ROUTE_FOUND);
}

static void test_a_name_takes_one_segment(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_GET, "/spaces/a%20b/c"), SP_ROUTE_FOUND);
    assert_string_equal(param("owner"), "a b");
    assert_string_equal(param("name"), "c");
    assert_string_equal(param("nam"), "");
    assert_int_equal(find(SP_HTTP_GET, "/spaces//c"), SP_ROUTE_NOT_FOUND);
    assert_int_equal(find(SP_HTTP_GET, "/spaces/a/b/c"), SP_ROUTE_NOT_FOUND);
}

static void test_a_star_takes_the_rest(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_GET, "/app/a/b/x/y/z"), SP_ROUTE_FOUND);
    assert_string_equal(param("rest"), "x/y/z");
    assert_string_equal(param("name"), "b");
    assert_int_equal(find(SP_HTTP_GET, "/app/a/b/"), SP_ROUTE_FOUND);
    assert_string_equal(param("rest"), "");
    assert_int_equal(find(SP_HTTP_GET, "/app/a/b"), SP_ROUTE_NOT_FOUND);
}

static void test_the_first_row_that_fits_wins(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_GET, "/spaces/new/special"), SP_ROUTE_FOUND);
    assert_string_equal(match.route->pattern, "/spaces/:owner/:name");
}

static void test_another_method_lists_what_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_HEAD, "/spaces"), SP_ROUTE_FOUND);
    assert_int_equal(find(SP_HTTP_POST, "/spaces/a/b"), SP_ROUTE_METHOD);
    assert_string_equal(match.allow, "GET, HEAD, PUT, DELETE");
    assert_int_equal(find(SP_HTTP_OTHER, "/spaces"), SP_ROUTE_METHOD);
    assert_int_equal(find(SP_HTTP_DELETE, "/spaces/a/b"), SP_ROUTE_FOUND);
}

static void test_paths_that_climb_or_hide_slashes_are_bad(void **state)
{
    (void)state;
    assert_int_equal(find(SP_HTTP_GET, "/api/../spaces"), SP_ROUTE_BAD_PATH);
    assert_int_equal(find(SP_HTTP_GET, "/api/%2e%2e/spaces"), SP_ROUTE_BAD_PATH);
    assert_int_equal(find(SP_HTTP_GET, "/api/a%2fb"), SP_ROUTE_BAD_PATH);
    assert_int_equal(find(SP_HTTP_GET, "/api/a%00b"), SP_ROUTE_BAD_PATH);
    assert_int_equal(find(SP_HTTP_GET, "/api/%zz"), SP_ROUTE_BAD_PATH);
}

static bool holds(const char *networks, const char *address)
{
    struct sp_network *list;
    struct sp_address parsed;
    struct sp_error err;
    size_t n;
    bool result;

    assert_int_equal(sp_networks_parse(networks, &list, &n, &err), 0);
    assert_true(sp_address_parse(sp_slice_str(address), &parsed));
    result = sp_networks_hold(list, n, &parsed);
    free(list);
    return result;
}

static void test_networks_hold_their_addresses(void **state)
{
    (void)state;
    assert_true(holds("10.0.0.0/8", "10.255.1.2"));
    assert_false(holds("10.0.0.0/8", "11.0.0.1"));
    assert_true(holds("::1, 192.0.2.1", "192.0.2.1"));
    assert_false(holds("::1, 192.0.2.1", "192.0.2.2"));
    assert_true(holds("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(holds("2001:db8::/33", "2001:db8:8000::1"));
    assert_false(holds("", "127.0.0.1"));
    assert_true(holds("0.0.0.0/0", "8.8.8.8"));
    assert_false(holds("0.0.0.0/0", "2001:db8::1"));
}

static void test_wrong_networks_are_refused(void **state)
{
    struct sp_network *list = NULL;
    struct sp_error err = {0};
    size_t n;

    (void)state;
    assert_int_not_equal(sp_networks_parse("10.0.0.0/33", &list, &n, &err), 0);
    assert_string_equal(err.msg, "'10.0.0.0/33' is not an address or a network");
    assert_int_not_equal(sp_networks_parse("localhost", &list, &n, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_match_whole),
        cmocka_unit_test(test_a_name_takes_one_segment),
        cmocka_unit_test(test_a_star_takes_the_rest),
        cmocka_unit_test(test_the_first_row_that_fits_wins),
        cmocka_unit_test(test_another_method_lists_what_is_allowed),
        cmocka_unit_test(test_paths_that_climb_or_hide_slashes_are_bad),
        cmocka_unit_test(test_networks_hold_their_addresses),
        cmocka_unit_test(test_wrong_networks_are_refused),
    };
    int failed = cmocka_run_group_tests_name("router", tests, NULL, NULL);

    free(match.params);
    return failed;
}
