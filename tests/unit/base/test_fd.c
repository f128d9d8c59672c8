#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "tests/support/test.h"

static char path[] = "/tmp/sp-test-fd-XXXXXX";
static int dir = -1;
static struct sp_error err;

static int setup(void **state)
{
    (void)state;
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    if (!mkdtemp(path))
        return -1;
    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    (void)close(dir);
    return sp_rmtree(AT_FDCWD, path, &err);
}

static void put(const char *name, struct sp_slice data)
{
    assert_int_equal(sp_file_replace(dir, name, 0640, data, &err), 0);
}

static size_t entries(void)
{
    DIR *d = opendir(path);
    size_t n = 0;

    while (readdir(d))
        n++;
    (void)closedir(d);
    return n - 2;
}

static void test_a_file_is_read_back_whole(void **state)
{
    SP_AUTO_FREE char *text = NULL;
    size_t len;
    struct stat st;

    (void)state;
    put("f", SP_SLICE("a\0b"));
    assert_int_equal(sp_file_read(dir, "f", 3, &text, &len, &err), 0);
    assert_int_equal(len, 3);
    assert_memory_equal(text, "a\0b\0", 4);
    assert_int_equal(fstatat(dir, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0640 & ~S_IWGRP);
    put("f", SP_SLICE(""));
    free(SP_TAKE(text));
    assert_int_equal(sp_file_read(dir, "f", 0, &text, &len, &err), 0);
    assert_int_equal(len, 0);
    assert_int_equal(entries(), 1); /* no temporary file is left */
}

static void test_a_file_that_is_too_large_is_an_error(void **state)
{
    char *text = NULL;
    size_t len = 9;

    (void)state;
    put("f", SP_SLICE("abcd"));
    assert_int_equal(sp_file_read(dir, "f", 3, &text, &len, &err), -EFBIG);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    assert_null(text);
    assert_int_equal(len, 9);
}

static void test_links_and_fifos_are_not_read(void **state)
{
    char *text = NULL;
    size_t len;

    (void)state;
    put("f", SP_SLICE("secret"));
    assert_int_equal(symlinkat("f", dir, "link"), 0);
    assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
    assert_int_equal(sp_file_read(dir, "link", 100, &text, &len, &err), -ELOOP);
    assert_int_equal(sp_file_read(dir, "none", 100, &text, &len, &err), -ENOENT);
    assert_int_equal(err.kind, SP_ERR_NOT_FOUND);
    /* Nobody writes to it: an empty file, at once. */
    assert_int_equal(sp_file_read(dir, "fifo", 100, &text, &len, &err), 0);
    assert_int_equal(len, 0);
    free(text);
}

static void test_replacing_in_a_missing_folder_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(sp_file_replace(dir, "no/f", 0600, SP_SLICE("x"), &err), -ENOENT);
    assert_int_equal(entries(), 0);
}

static void test_folders_are_made_and_removed_with_all_below(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(sp_mkdir_p(dir, "a/b/c", 0755, &err), 0);
    assert_int_equal(sp_mkdir_p(dir, "a/b/c", 0755, &err), 0);
    assert_int_equal(sp_mkdir_p(dir, "a/d/", 0755, &err), 0);
    put("a/b/c/f", SP_SLICE("x"));
    put("keep", SP_SLICE("x"));
    assert_int_equal(symlinkat("../keep", dir, "a/link"), 0);
    assert_int_equal(symlinkat(path, dir, "a/b/dirlink"), 0);
    assert_int_equal(sp_rmtree(dir, "a", &err), 0);
    assert_int_equal(fstatat(dir, "a", &st, 0), -1);
    assert_int_equal(fstatat(dir, "keep", &st, 0), 0); /* links are removed, not followed */
    assert_int_equal(sp_rmtree(dir, "a", &err), 0);
    put("f", SP_SLICE("x"));
    assert_true(sp_mkdir_p(dir, "f/g", 0755, &err) < 0);
}

static void test_folders_without_any_right_are_removed_without_root(void **state)
{
    const uid_t root = geteuid();
    struct stat st;

    (void)state;
    assert_int_equal(sp_mkdir_p(dir, "a/closed/b", 0755, &err), 0);
    put("a/closed/b/f", SP_SLICE("x"));
    if (root == 0) { /* which may do everything: as somebody who owns all of it */
        assert_int_equal(fchown(dir, 12345, 12345), 0);
        assert_int_equal(fchownat(dir, "a", 12345, 12345, 0), 0);
        assert_int_equal(fchownat(dir, "a/closed", 12345, 12345, 0), 0);
        assert_int_equal(fchownat(dir, "a/closed/b", 12345, 12345, 0), 0);
        assert_int_equal(seteuid(12345), 0);
    }
    assert_int_equal(fchmodat(dir, "a/closed/b", 0555, 0), 0);
    assert_int_equal(fchmodat(dir, "a/closed", 0, 0), 0);
    assert_int_equal(openat(dir, "a/closed", O_RDONLY | O_CLOEXEC), -1);
    assert_int_equal(sp_rmtree(dir, "a", &err), 0);
    assert_int_equal(fstatat(dir, "a", &st, 0), -1);
    assert_int_equal(seteuid(root), 0);
}

static void test_a_tree_deeper_than_descriptors_go_is_removed(void **state)
{
    int at = dup(dir);

    (void)state;
    for (int i = 0; i < 2000; i++) {
        int below;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void)close(at);
        at = below;
    }
    (void)close(at);
    assert_int_equal(sp_rmtree(dir, "d", &err), 0);
    assert_int_equal(faccessat(dir, "d", F_OK, 0), -1);
}

static const struct {
    const char *name;
    int flags;
    bool ok;
} openings[] = {
    {"in/f", O_RDONLY, true},
    {"in/../in/f", O_RDONLY, true}, /* beneath all the way */
    {"in", O_RDONLY | O_DIRECTORY, true},
    {"in", O_RDONLY, false},
    {"in/f", O_RDONLY | O_DIRECTORY, false},
    {"in/fifo", O_RDONLY, false},
    {"in/link", O_RDONLY, false},
    {"in/up/out", O_RDONLY, false},
    {"../out", O_RDONLY, false},
    {"in/../../out", O_RDONLY, false},
    {"/etc/passwd", O_RDONLY, false},
    {"", O_RDONLY, false},
    {"in/none", O_RDONLY, false},
};

static void test_a_path_from_outside_stays_beneath_its_folder(void **state)
{
    (void)state;
    assert_int_equal(sp_mkdir_p(dir, "root/in", 0755, &err), 0);
    put("out", SP_SLICE("secret"));
    put("root/in/f", SP_SLICE("x"));
    assert_int_equal(symlinkat("f", dir, "root/in/link"), 0);
    assert_int_equal(symlinkat("../..", dir, "root/in/up"), 0);
    assert_int_equal(mkfifoat(dir, "root/in/fifo", 0600), 0);
    for (size_t i = 0; i < SP_LEN(openings); i++) {
        SP_AUTO_FD int root = openat(dir, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        SP_AUTO_FD int fd = -1;
        int r = sp_open_beneath(root, openings[i].name, openings[i].flags, 0, &fd, &err);

        if ((r == 0) != openings[i].ok || (r == 0) != (fd >= 0))
            fail_msg("'%s': %d %s", openings[i].name, r, r ? err.msg : "");
        if (r == 0)
            assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

static void test_a_descriptor_closes_itself_unless_taken(void **state)
{
    int kept;
    int closed;

    (void)state;
    {
        SP_AUTO_FD int a = dup(dir);
        SP_AUTO_FD int b = dup(dir);

        closed = a;
        kept = SP_TAKE_FD(b);
        assert_int_equal(b, -1);
    }
    assert_int_equal(fcntl(closed, F_GETFD), -1);
    assert_true(fcntl(kept, F_GETFD) >= 0);
    (void)close(kept);
}

static void test_writing_to_a_closed_pipe_is_an_error(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(sp_write_all(fds[1], "abc", 3), 0);
    (void)close(fds[0]);
    (void)close(fds[1]);
    assert_int_equal(sp_write_all(fds[1], "abc", 3), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_file_is_read_back_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_too_large_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(test_links_and_fifos_are_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replacing_in_a_missing_folder_leaves_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_folders_are_made_and_removed_with_all_below, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_folders_without_any_right_are_removed_without_root,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_tree_deeper_than_descriptors_go_is_removed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_path_from_outside_stays_beneath_its_folder, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_descriptor_closes_itself_unless_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_writing_to_a_closed_pipe_is_an_error, setup, teardown),
    };

    (void)umask(022);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
