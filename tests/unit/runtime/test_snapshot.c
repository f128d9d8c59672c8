#include "runtime/state/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "tests/support/test.h"

struct fix {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64];
    struct sp_config *config;
    bool done;
    enum sp_err_kind kind;
    char hash[SP_SNAPSHOT_HEX];
};

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static int set_up(void **state)
{
    struct fix *f = sp_new0(struct fix);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sp-snap-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->deadline);
    f->config = sp_config_new();
    *state = f;
    return 0;
}

static bool nothing_used(void *arg, const char *hash)
{
    (void)arg;
    (void)hash;
    return false;
}

static int tear_down(void **state)
{
    struct fix *f = *state;

    uv_close((uv_handle_t *)&f->deadline, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(sp_snapshot_sweep(f->dir, nothing_used, NULL, NULL), 0);
    assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    sp_config_free(f->config);
    free(f);
    return 0;
}

static struct sp_staging *staging_new(struct fix *f)
{
    struct sp_staging *staging = NULL;

    assert_int_equal(sp_staging_new(f->dir, f->config, &staging, NULL), 0);
    return staging;
}

static void add(struct sp_staging *staging, const char *path, const char *text)
{
    struct sp_error err = {0};

    if (sp_staging_file(staging, sp_slice_str(path), &err) < 0 ||
        sp_staging_write(staging, sp_slice_str(text), &err) < 0 ||
        sp_staging_end(staging, &err) < 0)
        fail_msg("%s: %s", path, err.msg);
}

static enum sp_err_kind refused_path(struct sp_staging *staging, struct sp_slice path)
{
    struct sp_error err = {0};

    return sp_staging_file(staging, path, &err) < 0 ? err.kind : SP_ERR_NONE;
}

static void on_done(void *arg, const struct sp_error *err, const char *hash)
{
    struct fix *f = arg;

    f->done = true;
    f->kind = err ? err->kind : SP_ERR_NONE;
    (void)snprintf(f->hash, sizeof(f->hash), "%s", hash ? hash : "");
}

static void finish(struct fix *f, struct sp_staging *staging)
{
    f->done = false;
    sp_staging_consume_finish(staging, &f->loop, on_done, f);
    assert_false(f->done);
    uv_timer_start(&f->deadline, on_deadline, 20000, 0);
    while (!f->done)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
    uv_run(&f->loop, UV_RUN_DEFAULT); /* the removal of a dropped copy */
}

static mode_t mode_of(struct fix *f, const char *path)
{
    SP_AUTO_FREE char *whole = sp_asprintf("%s/%s/%s", f->dir, f->hash, path);
    struct stat st;

    return stat(whole, &st) < 0 ? 0 : st.st_mode;
}

static bool exists(struct fix *f, const char *path)
{
    SP_AUTO_FREE char *whole = sp_asprintf("%s/%s", f->dir, path);

    return access(whole, F_OK) == 0;
}

/* --- what a snapshot is ----------------------------------------------------------------------- */

static void test_a_finished_tree_lies_read_only_under_its_hash(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    SP_AUTO_FREE char *path = NULL;
    SP_AUTO_FREE char *text = NULL;
    size_t len = 0;

    add(staging, "README.md", "---\n---\n");
    add(staging, "./src/deep/app.py", "print(1)\n");
    finish(f, staging);
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_int_equal(mode_of(f, "README.md"), S_IFREG | 0444);
    assert_int_equal(mode_of(f, "src"), S_IFDIR | 0555);
    assert_int_equal(mode_of(f, "src/deep"), S_IFDIR | 0555);
    assert_int_equal(mode_of(f, ""), S_IFDIR | 0555);
    path = sp_asprintf("%s/%s/src/deep/app.py", f->dir, f->hash);
    assert_int_equal(sp_file_read(AT_FDCWD, path, 100, &text, &len, NULL), 0);
    assert_string_equal(text, "print(1)\n");
}

/* Calculated by hand with sha256sum from the format in docs/storage.md. */
static void test_the_hash_is_the_documented_one(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);

    add(staging, "b.txt", "");
    add(staging, "a/x", "hello\n");
    assert_int_equal(sp_staging_file(staging, SP_SLICE("run.sh"), NULL), 0);
    sp_staging_executable(staging);
    assert_int_equal(sp_staging_end(staging, NULL), 0);
    finish(f, staging);
    assert_string_equal(f->hash,
                        "07ebd7738be3906edab824022abcd495c4456bb05edeb0a8e0efd0d989b0767e");
    assert_int_equal(mode_of(f, "run.sh"), S_IFREG | 0555);
}

static void test_the_order_of_arrival_does_not_matter_and_content_does(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    char first[SP_SNAPSHOT_HEX];

    add(staging, "a", "1");
    add(staging, "b", "2");
    finish(f, staging);
    memcpy(first, f->hash, sizeof(first));

    staging = staging_new(f);
    add(staging, "b", "2");
    add(staging, "a", "1");
    finish(f, staging);
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_string_equal(f->hash, first); /* and the second copy was dropped */
    assert_true(exists(f, first));

    staging = staging_new(f);
    add(staging, "b", "1");
    add(staging, "a", "2");
    finish(f, staging);
    assert_string_not_equal(f->hash, first);
}

static bool staging_empty(struct fix *f)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/staging", f->dir);

    return rmdir(path) == 0 || errno == ENOENT;
}

static void test_nothing_is_left_in_staging(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);

    add(staging, "a", "1");
    finish(f, staging);
    staging = staging_new(f);
    add(staging, "a", "1");
    finish(f, staging); /* known already */
    staging = staging_new(f);
    add(staging, "x/y/z", "1");
    sp_staging_free(staging); /* given up */
    assert_true(staging_empty(f));
}

/* --- paths ------------------------------------------------------------------------------------ */

static void test_paths_that_leave_or_confuse_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "/etc/passwd",
                                      "..",
                                      "../x",
                                      "a/../b",
                                      "a//b",
                                      "a/",
                                      "a/./b",
                                      ".",
                                      "./",
                                      "a\nb",
                                      "a\x7fz",
                                      "\xff",
                                      ".git",
                                      ".git/config",
                                      "x/.git/config",
                                      ".GIT/hooks/post-checkout"};
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    char text[2048];

    for (size_t i = 0; i < SP_LEN(bad); i++)
        if (refused_path(staging, sp_slice_str(bad[i])) != SP_ERR_INVALID)
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(refused_path(staging, sp_slice("a\0b", 3)), SP_ERR_INVALID);
    memset(text, 'a', sizeof(text));
    assert_int_equal(refused_path(staging, sp_slice(text, 256)), SP_ERR_INVALID);
    for (size_t i = 1; i < sizeof(text); i += 2)
        text[i] = '/';
    assert_int_equal(refused_path(staging, sp_slice(text, 65)), SP_ERR_INVALID); /* 33 levels */
    assert_int_equal(refused_path(staging, sp_slice(text, 63)), SP_ERR_NONE);
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 200 == 199 ? '/' : 'a';
    assert_int_equal(refused_path(staging, sp_slice(text, 1025)), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, sp_slice(text, 1024)), SP_ERR_NONE);
    assert_int_equal(refused_path(staging, SP_SLICE("..hidden/...ok")), SP_ERR_NONE);
    sp_staging_free(staging);
}

static void test_a_path_given_twice_or_through_a_file_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);

    add(staging, "a", "1");
    add(staging, "d/e/f", "1");
    assert_int_equal(refused_path(staging, SP_SLICE("a")), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, SP_SLICE("./a")), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, SP_SLICE("a/b")), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, SP_SLICE("a/b/c")), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, SP_SLICE("d/e")), SP_ERR_INVALID);
    assert_int_equal(refused_path(staging, SP_SLICE("d")), SP_ERR_INVALID);
    add(staging, "d/e/g", "still works");
    sp_staging_free(staging);
}

/* --- limits ----------------------------------------------------------------------------------- */

static void test_files_and_bytes_have_limits(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging;
    struct sp_error err = {0};
    char kib[1024] = {0};

    assert_int_equal(sp_config_set(f->config, "deploy.max_files", "2", "test", NULL), 0);
    assert_int_equal(sp_config_set(f->config, "deploy.max_bytes", "1k", "test", NULL), 0);
    staging = staging_new(f);
    add(staging, "a", "");
    assert_int_equal(sp_staging_file(staging, SP_SLICE("b"), NULL), 0);
    assert_int_equal(sp_staging_write(staging, sp_slice(kib, 1024), &err), 0);
    assert_int_equal(sp_staging_end(staging, NULL), 0);
    assert_true(sp_staging_file(staging, SP_SLICE("c"), &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "deploy.max_files"));
    sp_staging_free(staging);

    staging = staging_new(f);
    assert_int_equal(sp_staging_file(staging, SP_SLICE("b"), NULL), 0);
    assert_int_equal(sp_staging_write(staging, sp_slice(kib, 1000), NULL), 0);
    assert_true(sp_staging_write(staging, sp_slice(kib, 25), &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    assert_non_null(strstr(err.msg, "deploy.max_bytes"));
    finish(f, staging); /* an incomplete file never becomes a snapshot */
    assert_int_equal(f->kind, SP_ERR_INVALID);
    assert_true(staging_empty(f));
}

static void test_a_file_that_was_never_ended_is_no_snapshot(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);

    assert_int_equal(sp_staging_file(staging, SP_SLICE("a"), NULL), 0);
    finish(f, staging);
    assert_int_equal(f->kind, SP_ERR_INVALID);
}

#ifdef SP_FAULTS
static void test_a_full_disk_is_unavailable(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    struct sp_error err = {0};

    assert_int_equal(sp_staging_file(staging, SP_SLICE("a"), NULL), 0);
    sp_fault_plan("snapshot.write:1");
    assert_true(sp_staging_write(staging, SP_SLICE("x"), &err) < 0);
    sp_fault_plan(NULL);
    assert_int_equal(err.kind, SP_ERR_UNAVAILABLE);
    sp_staging_free(staging);
}
#endif

static void test_a_staged_file_can_be_read(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    SP_AUTO_FREE char *text = NULL;
    struct sp_error err = {0};
    size_t len = 0;

    add(staging, "README.md", "card");
    add(staging, "d/f", "x");
    assert_int_equal(sp_staging_read(staging, "README.md", 100, &text, &len, NULL), 0);
    assert_string_equal(text, "card");
    assert_true(sp_staging_read(staging, "app.py", 100, &text, &len, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_NOT_FOUND);
    assert_true(sp_staging_read(staging, "d", 100, &text, &len, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_NOT_FOUND);
    assert_true(sp_staging_read(staging, "README.md", 3, &text, &len, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_LIMIT);
    sp_staging_free(staging);
}

/* --- removal ---------------------------------------------------------------------------------- */

static void test_a_removed_snapshot_is_gone_at_once_and_can_come_again(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    char hash[SP_SNAPSHOT_HEX];

    add(staging, "d/a", "1");
    finish(f, staging);
    memcpy(hash, f->hash, sizeof(hash));
    sp_snapshot_remove(&f->loop, f->dir, hash);
    assert_false(exists(f, hash));
    staging = staging_new(f);
    add(staging, "d/a", "1");
    finish(f, staging);
    assert_string_equal(f->hash, hash);
    assert_true(exists(f, hash));
    sp_snapshot_remove(&f->loop, f->dir, "../../etc"); /* not a hash: nothing happens */
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_true(exists(f, hash));
}

static bool is_used(void *arg, const char *hash)
{
    return strcmp(arg, hash) == 0;
}

static void test_the_sweep_keeps_what_is_used(void **state)
{
    struct fix *f = *state;
    struct sp_staging *staging = staging_new(f);
    char used[SP_SNAPSHOT_HEX];
    SP_AUTO_FREE char *other = sp_asprintf("%s/other", f->dir);

    add(staging, "a", "used");
    finish(f, staging);
    memcpy(used, f->hash, sizeof(used));
    staging = staging_new(f);
    add(staging, "a", "unused");
    finish(f, staging);
    staging = staging_new(f);
    add(staging, "x/y", "left by a crash");
    assert_int_equal(mkdir(other, 0755), 0);

    assert_int_equal(sp_snapshot_sweep(f->dir, is_used, used, NULL), 0);
    assert_true(exists(f, used));
    assert_false(exists(f, f->hash));
    assert_true(exists(f, "other")); /* not ours */
    assert_true(staging_empty(f));
    sp_staging_free(staging); /* its folder is gone, which is fine */
}

/* Read-only folders stop an owner who is not root, so the removal must be tried as one. */
static void test_an_unprivileged_user_can_finish_and_remove(void **state)
{
    struct fix *f = *state;
    int status = 0;
    pid_t pid;

    if (geteuid() != 0)
        skip(); /* then every other test is this test */
    assert_int_equal(chmod(f->dir, 0777), 0);
    pid = fork();
    if (pid == 0) {
        struct sp_staging *staging;
        char hash[SP_SNAPSHOT_HEX];

        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        staging = staging_new(f);
        add(staging, "a/b/c", "1");
        finish(f, staging);
        memcpy(hash, f->hash, sizeof(hash));
        if (f->kind != SP_ERR_NONE)
            _exit(3);
        sp_snapshot_remove(&f->loop, f->dir, hash);
        uv_run(&f->loop, UV_RUN_DEFAULT);
        _exit(exists(f, hash) || !staging_empty(f) ? 4 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_an_unprivileged_user_can_finish_and_remove), /* first: it forks */
        ROW(test_a_finished_tree_lies_read_only_under_its_hash),
        ROW(test_the_hash_is_the_documented_one),
        ROW(test_the_order_of_arrival_does_not_matter_and_content_does),
        ROW(test_nothing_is_left_in_staging),
        ROW(test_paths_that_leave_or_confuse_are_refused),
        ROW(test_a_path_given_twice_or_through_a_file_is_refused),
        ROW(test_files_and_bytes_have_limits),
        ROW(test_a_file_that_was_never_ended_is_no_snapshot),
#ifdef SP_FAULTS
        ROW(test_a_full_disk_is_unavailable),
#endif
        ROW(test_a_staged_file_can_be_read),
        ROW(test_a_removed_snapshot_is_gone_at_once_and_can_come_again),
        ROW(test_the_sweep_keeps_what_is_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
