#include "helpers/dns.h"

#include <string.h>

#include "tests/support/test.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

/* id 0x1234, recursion desired, one question */
#define ASK           "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
#define NAME          "\3www\7Example\3org\0"
#define A_IN          "\0\1\0\1"
#define HEAD(answers) "\x12\x34\x81\x80\x00\x01\x00" answers "\x00\x00\x00\x00"

static struct sp_dns_question question(void)
{
    struct sp_dns_question q;

    assert_int_equal(sp_dns_read_question(BYTES(ASK NAME A_IN), &q), 0);
    return q;
}

static void test_a_question_is_read_in_lower_case(void **state)
{
    struct sp_dns_question q = question();

    (void)state;
    assert_string_equal(q.name, "www.example.org");
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, SP_DNS_A);
    assert_true(q.recursion);
}

static void test_what_is_no_plain_question_is_refused_or_ignored(void **state)
{
    struct sp_dns_question q;

    (void)state;
    assert_int_equal(sp_dns_read_question(BYTES("\x12\x34"), &q), -1);
    assert_int_equal(sp_dns_read_question(BYTES("\x12\x34\x81\x00\0\1\0\0\0\0\0\0" NAME A_IN), &q),
                     -1);
    assert_int_equal(sp_dns_read_question(BYTES("\x12\x34\x10\x00\0\1\0\0\0\0\0\0" NAME A_IN), &q),
                     SP_DNS_NOT_DONE);
    assert_int_equal(sp_dns_read_question(BYTES("\x12\x34\x01\x00\0\2\0\0\0\0\0\0" NAME A_IN), &q),
                     SP_DNS_FORMAT);
    assert_int_equal(sp_dns_read_question(BYTES(ASK "\3www"), &q), SP_DNS_FORMAT);
    assert_int_equal(sp_dns_read_question(BYTES(ASK "\3w w\0" A_IN), &q), SP_DNS_FORMAT);
    assert_int_equal(sp_dns_read_question(BYTES(ASK "\xc0\x0c" A_IN), &q), SP_DNS_FORMAT);
    assert_int_equal(sp_dns_read_question(BYTES(ASK "\x40www\0" A_IN), &q), SP_DNS_FORMAT);
    assert_int_equal(sp_dns_read_question(BYTES(ASK NAME "\0\1\0\3"), &q), SP_DNS_REFUSED);
}

static void test_addresses_come_from_the_asked_name_and_its_aliases_only(void **state)
{
    struct sp_dns_question q = question();
    struct sp_dns_answer a;

    (void)state;
    assert_true(sp_dns_read_answer(
        BYTES(HEAD("\4") NAME A_IN
              "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3cdn\xc0\x10" /* alias cdn.example.org, 60 s */
              "\5other\xc0\x10\0\1\0\1\0\0\0\x01\0\4\x0a\0\0\1"
              "\3cdn\xc0\x10\0\1\0\1\0\0\0\x0a\0\4\x0b\1\0\1"
              "\3CDN\xc0\x10\0\1\0\1\0\0\1\0\0\4\x0b\1\0\2"),
        &q, 0x1234, &a));
    assert_int_equal(a.n, 2);
    assert_int_equal(a.addresses[0], 0x0b010001);
    assert_int_equal(a.addresses[1], 0x0b010002);
    assert_int_equal(a.ttl, 10);
}

static void test_an_alias_that_leads_to_itself_ends(void **state)
{
    struct sp_dns_question q = question();
    struct sp_dns_answer a;

    (void)state;
    assert_true(sp_dns_read_answer(
        BYTES(HEAD("\1") NAME A_IN "\xc0\x0c\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c"), &q, 0x1234, &a));
    assert_int_equal(a.n, 0);
}

static void test_an_answer_to_something_else_is_none(void **state)
{
    struct sp_dns_question q = question();
    struct sp_dns_answer a;

    (void)state;
    assert_false(sp_dns_read_answer(BYTES(HEAD("\0") NAME A_IN), &q, 0x1235, &a));
    assert_false(sp_dns_read_answer(BYTES(ASK NAME A_IN), &q, 0x1234, &a));
    assert_false(sp_dns_read_answer(BYTES(HEAD("\0") "\3www\0" A_IN), &q, 0x1234, &a));
    assert_false(sp_dns_read_answer(BYTES(HEAD("\0") NAME "\0\x1c\0\1"), &q, 0x1234, &a));
    assert_true(sp_dns_read_answer(BYTES(HEAD("\0") NAME A_IN), &q, 0x1234, &a));
}

static void test_what_we_write_we_read(void **state)
{
    struct sp_dns_question q = question(), again;
    struct sp_dns_answer a = {.ttl = 77, .n = SP_DNS_ADDRESSES}, read;
    uint8_t buf[SP_DNS_ANSWER_MAX];
    size_t n = sp_dns_write_question(buf, &q, 9);

    (void)state;
    assert_int_equal(sp_dns_read_question(buf, n, &again), 0);
    assert_string_equal(again.name, q.name);
    for (uint32_t i = 0; i < SP_DNS_ADDRESSES; i++)
        a.addresses[i] = 0x0b000000 + i;
    n = sp_dns_write_answer(buf, &q, &a);
    assert_true(n <= sizeof(buf));
    assert_true(sp_dns_read_answer(buf, n, &q, q.id, &read));
    assert_int_equal(read.n, SP_DNS_ADDRESSES);
    assert_int_equal(read.ttl, 77);
    assert_memory_equal(read.addresses, a.addresses, sizeof(a.addresses));
}

static void test_the_longest_name_with_all_addresses_fits(void **state)
{
    struct sp_dns_question q = {.type = SP_DNS_A};
    struct sp_dns_answer a = {.n = SP_DNS_ADDRESSES};
    uint8_t buf[SP_DNS_ANSWER_MAX];

    (void)state;
    memset(q.name, 'a', 253);
    for (size_t i = 63; i < 253; i += 64)
        q.name[i] = '.';
    assert_true(sp_dns_write_answer(buf, &q, &a) <= sizeof(buf));
    assert_true(sp_dns_write_question(buf, &q, 1) <= sizeof(buf));
}

static void test_a_list_matches_whole_names_and_subdomains(void **state)
{
    (void)state;
    assert_true(sp_dns_is_listed("pypi.org", "a.org, pypi.org"));
    assert_true(sp_dns_is_listed("x.y.example.net", "*.example.net"));
    assert_false(sp_dns_is_listed("example.net", "*.example.net"));
    assert_false(sp_dns_is_listed("badexample.net", "*.example.net"));
    assert_false(sp_dns_is_listed("pypi.org.evil.test", "pypi.org"));
    assert_false(sp_dns_is_listed("evilpypi.org", "pypi.org"));
    assert_false(sp_dns_is_listed("", ""));
    assert_false(sp_dns_is_listed("a", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_question_is_read_in_lower_case),
        cmocka_unit_test(test_what_is_no_plain_question_is_refused_or_ignored),
        cmocka_unit_test(test_addresses_come_from_the_asked_name_and_its_aliases_only),
        cmocka_unit_test(test_an_alias_that_leads_to_itself_ends),
        cmocka_unit_test(test_an_answer_to_something_else_is_none),
        cmocka_unit_test(test_what_we_write_we_read),
        cmocka_unit_test(test_the_longest_name_with_all_addresses_fits),
        cmocka_unit_test(test_a_list_matches_whole_names_and_subdomains),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
