#include "base/inet.h"

#include "tests/support/test.h"

static uint32_t addr(const char *text)
{
    uint32_t ret = 0;

    assert_true(sp_inet_parse(text, &ret));
    return ret;
}

static void test_only_public_addresses_are_public(void **state)
{
    static const char *const public[] = {
        "1.1.1.1",        "8.8.8.8",         "9.255.255.255",  "11.0.0.0",     "100.63.255.255",
        "100.128.0.0",    "169.253.255.255", "172.15.255.255", "172.32.0.0",   "192.167.255.255",
        "198.17.255.255", "223.255.255.255", "168.63.129.15",  "168.63.129.17"};
    static const char *const closed[] = {
        "0.0.0.0",      "0.1.2.3",        "10.0.0.0",        "10.255.255.255",  "100.64.0.0",
        "100.127.0.1",  "127.0.0.1",      "127.255.0.1",     "169.254.169.254", "172.16.0.1",
        "172.31.255.1", "192.0.0.1",      "192.0.2.1",       "192.88.99.1",     "192.168.0.1",
        "198.18.0.1",   "198.19.255.255", "198.51.100.1",    "203.0.113.1",     "224.0.0.1",
        "239.0.0.1",    "240.0.0.1",      "255.255.255.255", "168.63.129.16"};

    (void)state;
    for (size_t i = 0; i < sizeof(public) / sizeof(public[0]); i++)
        assert_true(sp_inet_is_public(addr(public[i])));
    for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++)
        assert_false(sp_inet_is_public(addr(closed[i])));
}

static void test_text_is_an_address_or_nothing(void **state)
{
    static const char *const wrong[] = {"",         "1.2.3", "1.2.3.4.5", "256.1.1.1",
                                        "1.2.3.4 ", "::1",   "0x7f.1",    "1.2.3.4/8"};
    char text[SP_INET_TEXT];
    uint32_t ret;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(sp_inet_parse(wrong[i], &ret));
    assert_string_equal(sp_inet_text(addr("255.255.255.255"), text), "255.255.255.255");
}

static void test_a_network_has_no_bits_behind_its_prefix(void **state)
{
    uint32_t net;
    unsigned bits;

    (void)state;
    assert_true(sp_inet_parse_net("10.208.0.0/16", &net, &bits));
    assert_int_equal(bits, 16);
    assert_true(sp_inet_in(addr("10.208.255.1"), net, bits));
    assert_false(sp_inet_in(addr("10.209.0.1"), net, bits));
    assert_false(sp_inet_parse_net("10.208.0.1/16", &net, &bits));
    assert_false(sp_inet_parse_net("10.208.0.0/33", &net, &bits));
    assert_false(sp_inet_parse_net("10.208.0.0", &net, &bits));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_public_addresses_are_public),
        cmocka_unit_test(test_text_is_an_address_or_nothing),
        cmocka_unit_test(test_a_network_has_no_bits_behind_its_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
