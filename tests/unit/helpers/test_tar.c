/* Archives made block by block: what is read of them, and what is refused. */
#include "helpers/tar.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tests/support/test.h"

static char archive[1 << 16];
static size_t archive_len, archive_at;
static struct sp_tar_entry entry;

static long read_archive(void *arg, void *buf, size_t len, struct sp_error *err)
{
    size_t n = archive_len - archive_at < len ? archive_len - archive_at : len;

    (void)arg;
    (void)err;
    memcpy(buf, archive + archive_at, n);
    archive_at += n;
    return (long)n;
}

/* A header of the POSIX form, and content with its padding. */
static void put(const char *name, char type, const char *link, const char *content, size_t len)
{
    char *head = archive + archive_len;
    unsigned sum = 0;

    memset(head, 0, 512);
    (void)snprintf(head, 100, "%s", name);
    (void)snprintf(head + 100, 8, "%07o", 0644u);
    (void)snprintf(head + 124, 12, "%011o", (unsigned)len);
    head[156] = type;
    (void)snprintf(head + 157, 100, "%s", link);
    memcpy(head + 257,
           "ustar\0"
           "00",
           8);
    memset(head + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)head[i];
    (void)snprintf(head + 148, 8, "%06o", sum);
    memcpy(head + 512, content, len);
    archive_len += 512 + (len + 511) / 512 * 512;
}

static int setup(void **state)
{
    (void)state;
    memset(archive, 0, sizeof(archive));
    archive_len = archive_at = 0;
    return 0;
}

/* What reading all of it says: 0, or the first error. */
static int read_all(unsigned *ret_count)
{
    struct sp_error err = {0};
    struct sp_tar tar;
    int r;

    archive_len += 1024; /* two empty blocks */
    sp_tar_init(&tar, read_archive, NULL);
    for (*ret_count = 0; (r = sp_tar_next(&tar, &entry, &err)) > 0; ++*ret_count)
        ;
    return r;
}

static void test_entries_come_in_order_and_unread_content_is_skipped(void **state)
{
    struct sp_error err = {0};
    struct sp_tar tar;
    char text[16];

    (void)state;
    put("a/", '5', "", "", 0);
    put("a/b", '0', "", "hello", 5);
    put("a/c", '0', "", "there", 5);
    put("l", '2', "a/b", "", 0);
    put("h", '1', "a/b", "", 0);
    archive_len += 1024;
    sp_tar_init(&tar, read_archive, NULL);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_int_equal(entry.type, SP_TAR_FOLDER);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_string_equal(entry.path, "a/c");
    assert_int_equal(sp_tar_content(&tar, text, sizeof(text), &err), 5);
    assert_memory_equal(text, "there", 5);
    assert_int_equal(sp_tar_content(&tar, text, sizeof(text), &err), 0);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_int_equal(entry.type, SP_TAR_SYMLINK);
    assert_string_equal(entry.link, "a/b");
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_int_equal(entry.type, SP_TAR_HARDLINK);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 0);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 0);
}

static void test_long_names_of_both_kinds_are_read(void **state)
{
    char name[300], pax[400];
    unsigned n;

    (void)state;
    memset(name, 'n', 250);
    name[250] = '\0';
    (void)snprintf(pax, sizeof(pax), "260 path=%s\n", name);
    put("././@LongLink", 'L', "", name, 251);
    put("short", '0', "", "", 0);
    assert_int_equal(read_all(&n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(entry.path, name);
    (void)setup(NULL);
    put("pax", 'x', "", pax, strlen(pax));
    put("short", '0', "", "", 0);
    assert_int_equal(read_all(&n), 0);
    assert_string_equal(entry.path, name);
}

static void test_what_is_no_archive_is_refused(void **state)
{
    static const struct {
        char type;
        const char *content;
    } wrong[] = {
        {'S', ""},                        /* sparse */
        {'V', ""},                        /* a volume's name */
        {'x', "22 GNU.sparse.major=1\n"}, /* sparse, as pax says it */
        {'x', "9 path=a\n9"},             /* cut off */
        {'x', "999 path=a\n"},            /* a length that is a lie */
        {'x', "3 a"},                     /* no value */
        {'g', "9 path=a\n"},              /* a path for everybody */
        {'2', "content of a link"},
    };
    unsigned n;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)setup(NULL);
        put("x", wrong[i].type, "target", wrong[i].content, strlen(wrong[i].content));
        put("short", '0', "", "", 0);
        assert_true(read_all(&n) < 0);
    }
}

static void test_a_header_that_does_not_add_up_is_refused(void **state)
{
    unsigned n;

    (void)state;
    put("a", '0', "", "", 0);
    archive[0] = 'b';
    assert_true(read_all(&n) < 0);
}

static void test_an_archive_that_ends_early_is_refused(void **state)
{
    struct sp_error err = {0};
    struct sp_tar tar;

    (void)state;
    put("a", '0', "", "hello", 5);
    archive_len = 512 + 3;
    sp_tar_init(&tar, read_archive, NULL);
    assert_int_equal(sp_tar_next(&tar, &entry, &err), 1);
    assert_true(sp_tar_next(&tar, &entry, &err) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_entries_come_in_order_and_unread_content_is_skipped, setup),
        cmocka_unit_test_setup(test_long_names_of_both_kinds_are_read, setup),
        cmocka_unit_test_setup(test_what_is_no_archive_is_refused, setup),
        cmocka_unit_test_setup(test_a_header_that_does_not_add_up_is_refused, setup),
        cmocka_unit_test_setup(test_an_archive_that_ends_early_is_refused, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
