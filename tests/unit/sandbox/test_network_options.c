#include "sandbox/network_options.h"

#include "base/error.h"
#include "sandbox/launch.h"
#include "tests/support/test.h"

static void test_modes_always_have_none_in_them(void **state)
{
    unsigned modes = 0;

    (void)state;
    assert_int_equal(sp_network_parse_modes("outbound, allow-list", &modes, NULL), 0);
    assert_int_equal(modes, 7);
    assert_int_equal(sp_network_parse_modes("", &modes, NULL), 0);
    assert_int_equal(modes, 1u << SP_LAUNCH_NETWORK_NONE);
    assert_true(sp_network_parse_modes("all", &modes, NULL) < 0);
}

static void test_a_range_is_private_and_neither_tiny_nor_huge(void **state)
{
    static const char *const wrong[] = {"11.0.0.0/16", "10.0.0.0/8",  "10.0.0.0/30",
                                        "10.0.0.1/24", "192.168.0.0", "172.32.0.0/16"};
    uint32_t addr;
    unsigned bits;

    (void)state;
    assert_int_equal(sp_network_parse_range("192.168.40.0/24", &addr, &bits, NULL), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_true(sp_network_parse_range(wrong[i], &addr, &bits, NULL) < 0);
}

static void test_servers_and_proxies_are_addresses(void **state)
{
    uint32_t servers[SP_NETWORK_SERVERS], addr;
    uint16_t port;
    size_t n;

    (void)state;
    assert_int_equal(sp_network_parse_servers("9.9.9.9, 127.0.0.53", servers, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(servers[1], 0x7f000035);
    assert_true(
        sp_network_parse_servers("1.1.1.1,2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5", servers, &n, NULL) < 0);
    assert_true(sp_network_parse_servers("dns.example.org", servers, &n, NULL) < 0);
    assert_int_equal(sp_network_parse_proxy("http://10.1.2.3:3128", &addr, &port, NULL), 0);
    assert_int_equal(port, 3128);
    assert_int_equal(sp_network_parse_proxy("10.1.2.3:80", &addr, &port, NULL), 0);
    assert_true(sp_network_parse_proxy("10.1.2.3", &addr, &port, NULL) < 0);
    assert_true(sp_network_parse_proxy("http://proxy:3128", &addr, &port, NULL) < 0);
    assert_true(sp_network_parse_proxy("10.1.2.3:0", &addr, &port, NULL) < 0);
}

static void test_a_list_has_host_names_only(void **state)
{
    static const char *const wrong[] = {"a b", "A.org", "a..b",     ".a",    "a.",    "*",
                                        "*.",  "a,,b",  "http://a", "a,b\n", "x*.org"};

    (void)state;
    assert_true(sp_network_list_valid(""));
    assert_true(sp_network_list_valid("pypi.org, *.example.net,a-b_c.d"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(sp_network_list_valid(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_always_have_none_in_them),
        cmocka_unit_test(test_a_range_is_private_and_neither_tiny_nor_huge),
        cmocka_unit_test(test_servers_and_proxies_are_addresses),
        cmocka_unit_test(test_a_list_has_host_names_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
