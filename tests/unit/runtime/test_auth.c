#include "runtime/state/auth.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "base/error.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"
#include "runtime/config.h"
#include "runtime/state/store.h"
#include "tests/support/test.h"

struct fix {
    uv_loop_t loop;
    uv_timer_t deadline;
    char dir[64];
    struct sp_config *config;
    struct sp_store *store;
    struct sp_auth *auth;

    bool called;
    unsigned calls;
    enum sp_err_kind kind;
    char user[97];
    char secret[128];
    char names[256];
    unsigned ok;
};

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    fprintf(stderr, "deadline passed\n");
    abort();
}

static void wait_for(struct fix *f, const bool *flag)
{
    uv_timer_start(&f->deadline, on_deadline, 20000, 0);
    while (!*flag)
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_timer_stop(&f->deadline);
}

static void on_ready(void *arg, const struct sp_error *err)
{
    struct fix *f = arg;

    assert_null(err);
    f->called = true;
}

static void open_all(struct fix *f)
{
    assert_int_equal(sp_store_open(&f->loop, f->dir, &f->store, NULL), 0);
    f->called = false;
    f->auth = sp_auth_new(f->store, f->config, on_ready, f);
    assert_false(f->called);
    wait_for(f, &f->called);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static void close_all(struct fix *f)
{
    bool closed = false;

    sp_auth_free(f->auth);
    sp_store_close(f->store, on_closed, &closed);
    wait_for(f, &closed);
}

static int set_up(void **state)
{
    struct fix *f = sp_new0(struct fix);

    (void)snprintf(f->dir, sizeof(f->dir), "/tmp/sp-auth-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    uv_timer_init(&f->loop, &f->deadline);
    f->config = sp_config_new();
    open_all(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fix *f = *state;

    close_all(f);
    uv_close((uv_handle_t *)&f->deadline, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(sp_rmtree(AT_FDCWD, f->dir, NULL), 0);
    sp_config_free(f->config);
    free(f);
    return 0;
}

static void on_secret(void *arg, const struct sp_error *err, const struct sp_user *user,
                      const char *secret)
{
    struct fix *f = arg;

    f->called = true;
    f->calls++;
    f->ok += !err;
    f->kind = err ? err->kind : SP_ERR_NONE;
    (void)snprintf(f->user, sizeof(f->user), "%s", user ? user->name : "");
    (void)snprintf(f->secret, sizeof(f->secret), "%s", secret ? secret : "");
}

/* Waits for the answer of the call before; it must not have come from inside of it. */
static const char *answer(struct fix *f)
{
    assert_false(f->called);
    wait_for(f, &f->called);
    return f->secret;
}

static const char *add_user(struct fix *f, const char *name, bool is_admin)
{
    f->called = false;
    sp_auth_add_user(f->auth, name, is_admin, on_secret, f);
    return answer(f);
}

static const char *login(struct fix *f, const char *secret)
{
    f->called = false;
    sp_auth_login(f->auth, sp_slice_str(secret), on_secret, f);
    return answer(f);
}

static const char *add_login(struct fix *f, const char *user)
{
    f->called = false;
    sp_auth_add_login(f->auth, user, on_secret, f);
    return answer(f);
}

static const struct sp_user *by_token(struct fix *f, const char *secret)
{
    return sp_auth_by_token(f->auth, sp_slice_str(secret));
}

static const struct sp_user *by_session(struct fix *f, const char *secret)
{
    return sp_auth_by_session(f->auth, sp_slice_str(secret));
}

/* --- users and tokens ------------------------------------------------------------------------- */

static void test_a_new_user_has_a_token_that_survives_a_restart(void **state)
{
    struct fix *f = *state;
    char token[128];

    (void)snprintf(token, sizeof(token), "%s", add_user(f, "admin", true));
    assert_int_equal(f->kind, SP_ERR_NONE);
    assert_int_equal(strlen(token), SP_TOKEN_LEN - 1);
    assert_memory_equal(token, "sp_", 3);
    assert_string_equal(by_token(f, token)->name, "admin");
    close_all(f);
    open_all(f);
    assert_non_null(by_token(f, token));
    assert_true(by_token(f, token)->is_admin);
    assert_true(by_token(f, token)->created_ms > 0);
}

static void test_tokens_that_are_nearly_right_are_nobody(void **state)
{
    struct fix *f = *state;
    char token[128];

    (void)snprintf(token, sizeof(token), "%s", add_user(f, "ann", false));
    assert_null(sp_auth_by_token(f->auth, sp_slice(token, strlen(token) - 1)));
    assert_null(sp_auth_by_token(f->auth, sp_slice(token, 0)));
    token[10] = token[10] == 'a' ? 'b' : 'a';
    assert_null(by_token(f, token));
    assert_null(by_token(f, "sp_"));
    memset(token, 'a', sizeof(token));
    assert_null(sp_auth_by_token(f->auth, sp_slice(token, sizeof(token))));
}

static void test_a_name_is_taken_whatever_its_case(void **state)
{
    struct fix *f = *state;

    add_user(f, "Ann", false);
    add_user(f, "Ann", false);
    assert_int_equal(f->kind, SP_ERR_CONFLICT);
    add_user(f, "ANN", false);
    assert_int_equal(f->kind, SP_ERR_CONFLICT);
    assert_non_null(sp_auth_by_name(f->auth, SP_SLICE("Ann")));
    assert_null(sp_auth_by_name(f->auth, SP_SLICE("ann")));
}

static void test_of_two_who_take_a_name_at_once_one_gets_it(void **state)
{
    struct fix *f = *state;

    f->called = false;
    sp_auth_add_user(f->auth, "bob", false, on_secret, f);
    sp_auth_add_user(f->auth, "bob", true, on_secret, f);
    wait_for(f, &f->called);
    while (f->calls < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->ok, 1);
    assert_false(sp_auth_by_name(f->auth, SP_SLICE("bob"))->is_admin);
}

static void test_bad_names_are_refused(void **state)
{
    static const char *const bad[] = {"", "a/b", "a b", "-a", "a--b", "..", "a.git", "\xc3\xa4"};
    struct fix *f = *state;

    for (size_t i = 0; i < SP_LEN(bad); i++) {
        add_user(f, bad[i], false);
        assert_int_equal(f->kind, SP_ERR_INVALID);
    }
}

static void test_users_have_a_limit(void **state)
{
    struct fix *f = *state;

    assert_int_equal(sp_config_set(f->config, "users.max", "1", "test", NULL), 0);
    add_user(f, "one", false);
    assert_int_equal(f->kind, SP_ERR_NONE);
    add_user(f, "two", false);
    assert_int_equal(f->kind, SP_ERR_LIMIT);
}

static void test_a_second_token_leaves_the_first_and_has_a_limit(void **state)
{
    struct fix *f = *state;
    char first[128];

    (void)snprintf(first, sizeof(first), "%s", add_user(f, "ann", false));
    for (int i = 0; i < 99; i++) {
        f->called = false;
        sp_auth_add_token(f->auth, "ann", "laptop", on_secret, f);
        assert_non_null(by_token(f, answer(f)));
    }
    f->called = false;
    sp_auth_add_token(f->auth, "ann", NULL, on_secret, f);
    answer(f);
    assert_int_equal(f->kind, SP_ERR_LIMIT);
    f->called = false;
    sp_auth_add_token(f->auth, "nobody", NULL, on_secret, f);
    answer(f);
    assert_int_equal(f->kind, SP_ERR_NOT_FOUND);
    assert_non_null(by_token(f, first));
}

static void note_name(void *arg, const struct sp_user *user)
{
    struct fix *f = arg;
    size_t len = strlen(f->names);

    (void)snprintf(f->names + len, sizeof(f->names) - len, "%s ", user->name);
}

static void test_users_are_listed_in_order_of_name(void **state)
{
    struct fix *f = *state;

    add_user(f, "carl", false);
    add_user(f, "ann", false);
    add_user(f, "bob", false);
    sp_auth_each(f->auth, note_name, f);
    assert_string_equal(f->names, "ann bob carl ");
}

/* --- signing in ------------------------------------------------------------------------------- */

static void test_a_token_opens_a_session_that_survives_a_restart(void **state)
{
    struct fix *f = *state;
    char token[128];
    char cookie[128];

    (void)snprintf(token, sizeof(token), "%s", add_user(f, "ann", false));
    (void)snprintf(cookie, sizeof(cookie), "%s", login(f, token));
    assert_string_equal(f->user, "ann");
    assert_non_null(by_session(f, cookie));
    assert_null(by_token(f, cookie)); /* each secret opens one door only */
    assert_null(by_session(f, token));
    login(f, cookie);
    assert_int_equal(f->kind, SP_ERR_DENIED);
    close_all(f);
    open_all(f);
    assert_non_null(by_session(f, cookie));
}

static void test_a_login_link_works_once(void **state)
{
    struct fix *f = *state;
    char link[128];

    add_user(f, "ann", false);
    (void)snprintf(link, sizeof(link), "%s", add_login(f, "ann"));
    assert_null(by_token(f, link));
    f->called = false;
    f->ok = f->calls = 0;
    sp_auth_login(f->auth, sp_slice_str(link), on_secret, f);
    sp_auth_login(f->auth, sp_slice_str(link), on_secret, f); /* at the same time */
    while (f->calls < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->ok, 1);
    login(f, link);
    assert_int_equal(f->kind, SP_ERR_DENIED);
    close_all(f);
    open_all(f);
    login(f, link);
    assert_int_equal(f->kind, SP_ERR_DENIED);
}

static void test_links_of_nobody_and_wrong_secrets_are_refused(void **state)
{
    struct fix *f = *state;

    add_login(f, "nobody");
    assert_int_equal(f->kind, SP_ERR_NOT_FOUND);
    login(f, "spl_000000000000000000000000000000000000");
    assert_int_equal(f->kind, SP_ERR_DENIED);
    login(f, "");
    assert_int_equal(f->kind, SP_ERR_DENIED);
}

struct aging {
    struct fix *f;
    int64_t expires_ms;
    bool done;
};

static void on_keys(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct aging *aging = arg;

    assert_null(err);
    for (size_t i = 0; i < range->count; i++) {
        char value[128];

        (void)snprintf(value, sizeof(value), "{\"user\":\"ann\",\"expires_ms\":%lld}",
                       (long long)aging->expires_ms);
        assert_int_equal(
            sp_store_put(aging->f->store, range->kvs[i].key, sp_slice_str(value), NULL, NULL, NULL),
            0);
    }
    aging->done = true;
}

/* Rewrites the stored end of everything below `prefix`, as if time had passed, and loads again. */
static void age(struct fix *f, const char *prefix, int64_t expires_ms)
{
    struct aging aging = {.f = f, .expires_ms = expires_ms};

    assert_int_equal(sp_store_range(f->store, prefix, true, 0, on_keys, &aging, NULL), 0);
    wait_for(f, &aging.done);
    close_all(f);
    open_all(f);
}

static int64_t now_ms(void)
{
    struct timespec now;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    return (int64_t)now.tv_sec * 1000;
}

static void test_links_and_sessions_end_with_their_time(void **state)
{
    struct fix *f = *state;
    char link[128];
    char cookie[128];

    add_user(f, "ann", false);
    (void)snprintf(cookie, sizeof(cookie), "%s", login(f, add_login(f, "ann")));
    (void)snprintf(link, sizeof(link), "%s", add_login(f, "ann"));
    age(f, "/logins/", now_ms() - 5000);
    age(f, "/sessions/", now_ms() - 5000);
    assert_null(by_session(f, cookie));
    login(f, link);
    assert_int_equal(f->kind, SP_ERR_DENIED);
}

static void on_session_value(void *arg, const struct sp_error *err,
                             const struct sp_store_range *range)
{
    struct aging *aging = arg;
    const char *at;

    assert_null(err);
    assert_int_equal(range->count, 1);
    at = strstr(range->kvs[0].value.ptr, "\"expires_ms\":");
    assert_non_null(at);
    aging->expires_ms = strtoll(at + strlen("\"expires_ms\":"), NULL, 10);
    aging->done = true;
}

static void test_a_session_that_is_used_is_renewed(void **state)
{
    struct fix *f = *state;
    struct aging read = {.f = f};
    char cookie[128];

    add_user(f, "ann", false);
    (void)snprintf(cookie, sizeof(cookie), "%s", login(f, add_login(f, "ann")));
    age(f, "/sessions/", now_ms() + 60000);
    assert_non_null(by_session(f, cookie));
    assert_int_equal(sp_store_range(f->store, "/sessions/", true, 0, on_session_value, &read, NULL),
                     0);
    wait_for(f, &read.done);
    assert_true(read.expires_ms > now_ms() + (int64_t)29 * 86400 * 1000);
}

static void test_logout_ends_the_session_and_twice_is_fine(void **state)
{
    struct fix *f = *state;
    char cookie[128];
    char other[128];

    add_user(f, "ann", false);
    (void)snprintf(cookie, sizeof(cookie), "%s", login(f, add_login(f, "ann")));
    (void)snprintf(other, sizeof(other), "%s", login(f, add_login(f, "ann")));
    for (int i = 0; i < 2; i++) {
        f->called = false;
        sp_auth_logout(f->auth, sp_slice_str(cookie), on_secret, f);
        answer(f);
        assert_int_equal(f->kind, SP_ERR_NONE);
        assert_null(by_session(f, cookie));
    }
    assert_non_null(by_session(f, other));
}

static void test_the_101st_session_pushes_out_the_oldest(void **state)
{
    struct fix *f = *state;
    char token[128];
    char first[128];
    char last[128];

    (void)snprintf(token, sizeof(token), "%s", add_user(f, "ann", false));
    (void)snprintf(first, sizeof(first), "%s", login(f, token));
    age(f, "/sessions/", now_ms() + 60000);
    for (int i = 0; i < 99; i++)
        (void)snprintf(last, sizeof(last), "%s", login(f, token));
    assert_int_equal(f->kind, SP_ERR_NONE);
    (void)snprintf(last, sizeof(last), "%s", login(f, token));
    assert_null(by_session(f, first));
    assert_non_null(by_session(f, last));
}

/* --- what is stored --------------------------------------------------------------------------- */

static void on_all(void *arg, const struct sp_error *err, const struct sp_store_range *range)
{
    struct fix *f = arg;

    assert_null(err);
    for (size_t i = 0; i < range->count; i++) {
        SP_AUTO_FREE char *value = sp_slice_dup(range->kvs[i].value);

        assert_null(strstr(range->kvs[i].key, f->secret + 3));
        assert_null(strstr(value, f->secret + 3));
    }
    assert_true(range->count >= 3);
    f->called = true;
}

static void test_no_secret_is_stored(void **state)
{
    struct fix *f = *state;

    login(f, add_user(f, "ann", false));
    f->called = false;
    assert_int_equal(sp_store_range(f->store, "/", true, 0, on_all, f, NULL), 0);
    wait_for(f, &f->called);
}

#ifdef SP_FAULTS
static void test_what_could_not_be_stored_is_not_known(void **state)
{
    struct fix *f = *state;

    sp_fault_plan("store.commit:1-");
    add_user(f, "ann", false);
    sp_fault_plan(NULL);
    assert_int_equal(f->kind, SP_ERR_UNAVAILABLE);
    assert_string_equal(f->secret, "");
    assert_null(sp_auth_by_name(f->auth, SP_SLICE("ann")));
    add_user(f, "ann", false);
    assert_int_equal(f->kind, SP_ERR_NONE);
}
#endif

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_a_new_user_has_a_token_that_survives_a_restart),
        ROW(test_tokens_that_are_nearly_right_are_nobody),
        ROW(test_a_name_is_taken_whatever_its_case),
        ROW(test_of_two_who_take_a_name_at_once_one_gets_it),
        ROW(test_bad_names_are_refused),
        ROW(test_users_have_a_limit),
        ROW(test_a_second_token_leaves_the_first_and_has_a_limit),
        ROW(test_users_are_listed_in_order_of_name),
        ROW(test_a_token_opens_a_session_that_survives_a_restart),
        ROW(test_a_login_link_works_once),
        ROW(test_links_of_nobody_and_wrong_secrets_are_refused),
        ROW(test_links_and_sessions_end_with_their_time),
        ROW(test_a_session_that_is_used_is_renewed),
        ROW(test_logout_ends_the_session_and_twice_is_fine),
        ROW(test_the_101st_session_pushes_out_the_oldest),
        ROW(test_no_secret_is_stored),
#ifdef SP_FAULTS
        ROW(test_what_could_not_be_stored_is_not_known),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
