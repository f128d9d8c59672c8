/* What is SQLite's own: schema, damage, locks, crashes, full disks. */
#include "tests/unit/runtime/store_fixture.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include "base/fault.h"

/* --- opening ---------------------------------------------------------------------------------- */

static void test_a_second_opener_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_store *second = NULL;
    struct sp_error err = {0};

    assert_true(sp_store_open(&f->loop, f->dir, &second, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_null(second);
}

static void tamper(struct fix *f, const char *sql)
{
    char path[128];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void test_a_newer_schema_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_error err = {0};

    close_store(f);
    tamper(f, "UPDATE meta SET value = 2 WHERE name = 'schema'");
    assert_true(sp_store_open(&f->loop, f->dir, &f->store, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_CONFLICT);
    assert_non_null(strstr(err.msg, "version 2"));
}

static void test_a_damaged_file_is_refused(void **state)
{
    struct fix *f = *state;
    struct sp_error err = {0};
    char path[128];
    char junk[8192];
    int fd;

    for (int i = 0; i < 200; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/k/%d", i);
        put(f, key, "some value that fills pages");
    }
    close_store(f);
    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    memset(junk, 0x5a, sizeof(junk));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 8192), sizeof(junk));
    (void)close(fd);
    assert_true(sp_store_open(&f->loop, f->dir, &f->store, &err) < 0);
    assert_int_equal(err.kind, SP_ERR_INTERNAL);
    assert_non_null(strstr(err.msg, "damaged"));
}

static void test_the_database_is_for_its_owner_only(void **state)
{
    struct fix *f = *state;
    struct stat st;
    char path[128];

    put(f, "/a", "x");
    (void)snprintf(path, sizeof(path), "%s/store.db", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    (void)snprintf(path, sizeof(path), "%s/store.db-wal", f->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A checkout under /root: the working folder is ours, its parents may not be walked. */
static void open_from_closed_parents(const char *dir)
{
    struct fix f = {0};

    if (chdir(dir) < 0 || chmod("closed", 0700) < 0 || chdir("closed/state") < 0 ||
        setgid(65534) < 0 || setuid(65534) < 0 || access(dir, F_OK) < 0)
        _exit(2);
    (void)snprintf(f.dir, sizeof(f.dir), "kept");
    if (uv_loop_init(&f.loop) < 0 || uv_timer_init(&f.loop, &f.deadline) < 0 ||
        sp_store_open(&f.loop, f.dir, &f.store, NULL) < 0)
        _exit(3);
    put(&f, "/a", "x");
    close_store(&f);
    if (f.kind != SP_ERR_NONE || sp_store_open(&f.loop, f.dir, &f.store, NULL) < 0)
        _exit(4);
    range(&f, "/a", false, 0);
    close_store(&f);
    _exit(f.count == 1 ? 0 : 5);
}

static void test_the_store_opens_where_only_the_working_folder_can_be_walked(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *path = sp_asprintf("%s/closed/state", f->dir);
    int status = -1;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    assert_int_equal(sp_mkdir_p(AT_FDCWD, path, 0755, NULL), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
    close_store(f); /* the child starts threads, which sanitizers allow after this only */
    pid = fork();
    if (pid == 0)
        open_from_closed_parents(f->dir);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* --- crashes and full disks ------------------------------------------------------------------- */

struct teller {
    int fd;
    unsigned next;
    struct sp_store *store;
};

static void put_next(struct teller *teller);

static void on_told(void *arg, const struct sp_error *err, bool succeeded, uint64_t rev)
{
    struct teller *teller = arg;

    (void)succeeded;
    (void)rev;
    if (err)
        _exit(1);
    /* The parent counts what it has heard to be safe. */
    if (write(teller->fd, "x", 1) != 1)
        _exit(1);
    put_next(teller);
}

static void put_next(struct teller *teller)
{
    char key[32];

    (void)snprintf(key, sizeof(key), "/k/%08u", teller->next++);
    if (sp_store_put(teller->store, key, SP_SLICE("value"), on_told, teller, NULL) < 0)
        _exit(1);
}

static void tell_for_ever(const char *dir, int fd)
{
    struct teller teller = {.fd = fd};
    uv_loop_t loop;

    if (uv_loop_init(&loop) < 0 || sp_store_open(&loop, dir, &teller.store, NULL) < 0)
        _exit(1);
    for (int i = 0; i < 8; i++)
        put_next(&teller);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

static void on_count(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct fix *f = arg;

    assert_null(err);
    f->called = true;
    f->count = range->count;
    for (size_t i = 0; i < range->count; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/k/%08zu", i);
        assert_string_equal(range->kvs[i].key, key); /* in order, without holes */
    }
}

/* Starts a child that writes, kills it after it has reported `heard` writes; what it has reported
 * in all comes back. */
static size_t run_and_kill(struct fix *f, size_t heard)
{
    char buf[256];
    size_t told = 0;
    int pipes[2];
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0) {
        (void)close(pipes[0]);
        tell_for_ever(f->dir, pipes[1]);
    }
    (void)close(pipes[1]);
    while (told < heard && (n = read(pipes[0], buf, 1)) == 1)
        told += (size_t)n;
    assert_int_equal(kill(pid, SIGKILL), 0);
    while ((n = read(pipes[0], buf, sizeof(buf))) > 0)
        told += (size_t)n;
    (void)close(pipes[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return told;
}

static void test_kill_9_loses_nothing_that_was_reported(void **state)
{
    struct fix *f = *state;

    close_store(f);
    for (size_t round = 0; round < 8; round++) {
        size_t told = run_and_kill(f, 1 + round * 37);

        open_store(f);
        f->called = false;
        assert_int_equal(sp_store_range(f->store, "/k/", true, 0, on_count, f, NULL), 0);
        wait_for(f, &f->called);
        assert_true(told > 0);
        assert_true(f->count >= told);
        f->called = false;
        {
            struct sp_store_op op = {.op = SP_STORE_DELETE_PREFIX, .key = "/k/"};

            txn(f, &(struct sp_store_txn){.then = &op, .n_then = 1});
        }
        close_store(f);
    }
}

static void test_a_full_disk_refuses_and_works_again_when_there_is_space(void **state)
{
    struct fix *f = *state;
    SP_AUTO_FREE char *value = calloc(1, 100 * 1024);
    char ballast[128];
    unsigned stored = 0;

    close_store(f);
    if (mount("none", f->dir, "tmpfs", 0, "size=2m") < 0)
        skip(); /* needs root: the fault point test below covers the rest */
    open_store(f);
    put(f, "/before", "x");
    for (; stored < 100; stored++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/fill/%u", stored);
        f->called = false;
        assert_int_equal(sp_store_put(f->store, key, sp_slice(value, 100 * 1024), on_txn, f, NULL),
                         0);
        wait_for(f, &f->called);
        if (f->kind != SP_ERR_NONE)
            break;
    }
    assert_in_range(stored, 1, 99);
    assert_int_equal(f->kind, SP_ERR_UNAVAILABLE);
    range(f, "/before", false, 0);
    assert_int_equal(f->count, 1);
    range(f, "/fill/", true, 0);
    assert_int_equal(f->count, stored); /* all of what was answered, none of what was not */

    (void)snprintf(ballast, sizeof(ballast), "remount,size=16m");
    assert_int_equal(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=16m"), 0);
    put(f, "/after", "x");
    assert_int_equal(f->kind, SP_ERR_NONE);
    close_store(f);
    open_store(f);
    range(f, "/fill/", true, 0);
    assert_int_equal(f->count, stored);
    range(f, "/after", false, 0);
    assert_int_equal(f->count, 1);
    close_store(f);
    assert_int_equal(umount(f->dir), 0);
}

static void fill(struct fix *f, unsigned *ret_stored)
{
    SP_AUTO_FREE char *value = calloc(1, 100 * 1024);
    char key[32];

    for (*ret_stored = 0; *ret_stored < 100; (*ret_stored)++) {
        (void)snprintf(key, sizeof(key), "/fill/%u", *ret_stored);
        f->called = false;
        assert_int_equal(sp_store_put(f->store, key, sp_slice(value, 100 * 1024), on_txn, f, NULL),
                         0);
        wait_for(f, &f->called);
        if (f->kind != SP_ERR_NONE)
            return;
    }
}

static void test_a_store_above_its_limit_refuses_puts_until_something_is_deleted(void **state)
{
    struct fix *f = *state;
    unsigned stored;
    unsigned again;

    sp_store_limit(f->store, 1024 * 1024);
    fill(f, &stored);
    assert_int_equal(f->kind, SP_ERR_LIMIT);
    assert_in_range(stored, 8, 12); /* the past of each key went before a put was refused */
    fill(f, &again);
    assert_int_equal(f->kind, SP_ERR_LIMIT);
    assert_int_equal(again, 0);
    for (unsigned i = 0; i < 3; i++) {
        char key[32];

        (void)snprintf(key, sizeof(key), "/fill/%u", i);
        del(f, key);
        assert_int_equal(f->kind, SP_ERR_NONE);
    }
    put(f, "/after", "x");
    assert_int_equal(f->kind, SP_ERR_NONE);
    range(f, "/fill/", true, 0);
    assert_int_equal(f->count, stored - 3);
}

#ifdef SP_FAULTS
static void test_a_failed_commit_fails_only_what_fails_again_alone(void **state)
{
    struct fix *f = *state;
    struct race race = {0};

    put(f, "/warm", "x");
    sp_fault_plan("store.commit:1"); /* the group's commit; each alone succeeds */
    for (int i = 0; i < 3; i++)
        assert_int_equal(sp_store_put(f->store, "/a", SP_SLICE("x"), on_race, &race, NULL), 0);
    range(f, "/a", false, 0);
    assert_int_equal(race.winners, 3);
    assert_int_equal(f->first.version, 3);
    sp_fault_plan("store.commit:1-");
    put(f, "/b", "x");
    assert_int_equal(f->kind, SP_ERR_UNAVAILABLE);
    sp_fault_plan(NULL);
    range(f, "/b", false, 0);
    assert_int_equal(f->count, 0);
    assert_int_equal(f->rev, 4);
    put(f, "/b", "x");
    assert_int_equal(f->rev, 5);
}
#endif

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_a_second_opener_is_refused),
        ROW(test_a_newer_schema_is_refused),
        ROW(test_a_damaged_file_is_refused),
        ROW(test_the_database_is_for_its_owner_only),
        ROW(test_the_store_opens_where_only_the_working_folder_can_be_walked),
        ROW(test_kill_9_loses_nothing_that_was_reported),
        ROW(test_a_store_above_its_limit_refuses_puts_until_something_is_deleted),
        ROW(test_a_full_disk_refuses_and_works_again_when_there_is_space),
#ifdef SP_FAULTS
        ROW(test_a_failed_commit_fails_only_what_fails_again_alone),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
