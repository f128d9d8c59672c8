#include "runtime/api/assets.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "tests/support/test.h"

static void test_every_file_is_found_by_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sp_asset_count; i++) {
        const struct sp_asset *asset = &sp_asset_table[i];
        struct sp_slice path = sp_slice_str(asset->path);
        bool is_page = sp_slice_ends(path, ".html");

        assert_ptr_equal(sp_asset_find(path), is_page ? NULL : asset);
    }
}

static void test_the_table_is_sorted_for_the_search(void **state)
{
    (void)state;
    for (size_t i = 1; i < sp_asset_count; i++)
        assert_true(strcmp(sp_asset_table[i - 1].path, sp_asset_table[i].path) < 0);
}

static void test_what_is_not_there_is_not_found(void **state)
{
    static const char *const paths[] = {"",     "/",       "/assets/", "/assets/nothing.js",
                                        "/zzz", "hub.html"};

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        assert_null(sp_asset_find(sp_slice_str(paths[i])));
    assert_null(sp_asset_find(sp_slice(NULL, 0)));
}

static void test_the_pages_are_html(void **state)
{
    (void)state;
    for (enum sp_page page = SP_PAGE_HUB; page <= SP_PAGE_APP; page++) {
        const struct sp_asset *asset = sp_asset_page(page);

        assert_string_equal(asset->type, "text/html; charset=utf-8");
        assert_false(asset->immutable);
        assert_true(sp_slice_starts(sp_asset_raw(asset), "<!doctype html>"));
    }
}

/* The two forms of a file are the same file: inflate one and compare. */
static void test_compressed_and_plain_are_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sp_asset_count; i++) {
        struct sp_slice gz = sp_asset_gz(&sp_asset_table[i]);
        struct sp_slice raw = sp_asset_raw(&sp_asset_table[i]);
        char *out = malloc(raw.len + 1);
        z_stream stream = {.next_in = (unsigned char *)(uintptr_t)gz.ptr,
                           .avail_in = (unsigned)gz.len,
                           .next_out = (unsigned char *)out,
                           .avail_out = (unsigned)raw.len + 1};

        assert_non_null(out);
        assert_int_equal(inflateInit2(&stream, 16 + MAX_WBITS), Z_OK);
        assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
        assert_int_equal(stream.total_out, raw.len);
        assert_memory_equal(out, raw.ptr, raw.len);
        (void)inflateEnd(&stream);
        free(out);
    }
}

static void test_a_year_of_caching_needs_a_name_with_a_hash(void **state)
{
    (void)state;
    for (size_t i = 0; i < sp_asset_count; i++) {
        const struct sp_asset *asset = &sp_asset_table[i];

        assert_int_equal(asset->immutable, strncmp(asset->path, "/assets/", 8) == 0);
        assert_int_equal(asset->etag[0], '"');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_file_is_found_by_its_path),
        cmocka_unit_test(test_the_table_is_sorted_for_the_search),
        cmocka_unit_test(test_what_is_not_there_is_not_found),
        cmocka_unit_test(test_the_pages_are_html),
        cmocka_unit_test(test_compressed_and_plain_are_the_same),
        cmocka_unit_test(test_a_year_of_caching_needs_a_name_with_a_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
