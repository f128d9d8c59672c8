/* What the owner reads about a limit. */
#include "runtime/spaces/limit_note.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/test.h"

static const struct sp_launch_limits limits = {
    .memory_bytes = 2ull << 30, .cpu_millis = 1500, .pids = 40};

static struct sp_launch_msg hit(enum sp_launch_limit limit)
{
    struct sp_launch_msg msg;

    memset(&msg, 0, sizeof(msg));
    msg.kind = SP_LAUNCH_LIMIT_HIT;
    msg.hit.limit = (uint32_t)limit;
    msg.hit.usage.memory_pressure = 6150;
    return msg;
}

static void test_out_of_memory_names_limit_and_peak_in_human_sizes(void **state)
{
    const struct sp_launch_usage usage = {.memory_peak_bytes = (2ull << 30) - 4096};
    SP_AUTO_FREE char *reason = sp_limit_oom_reason(&limits, &usage);

    (void)state;
    assert_string_equal(reason, "killed: out of memory, limit 2 GiB, peak 2.0 GiB (space.memory)");
}

static void test_gpu_memory_is_kept_for_the_exit_which_names_limit_and_use(void **state)
{
    struct sp_limit_notes notes = {.gpu_used_bytes = 0};
    struct sp_launch_msg gpu = hit(SP_LAUNCH_LIMIT_GPU_MEMORY);
    SP_AUTO_FREE char *reason = NULL;

    (void)state;
    gpu.hit.usage.gpu_memory_bytes = 700ull << 20;
    assert_null(sp_limit_note(&notes, &limits, &gpu, 1000));
    reason = sp_limit_gpu_reason(600ull << 20, notes.gpu_used_bytes);
    assert_string_equal(reason, "killed: GPU memory, limit 600 MiB, used 700 MiB");
}

static void test_a_limit_is_noted_once_a_minute_and_each_for_itself(void **state)
{
    struct sp_limit_notes notes = {.gpu_used_bytes = 0};
    struct sp_launch_msg pids = hit(SP_LAUNCH_LIMIT_PIDS), cpu = hit(SP_LAUNCH_LIMIT_CPU);
    SP_AUTO_FREE char *first = sp_limit_note(&notes, &limits, &pids, 1000);
    SP_AUTO_FREE char *other = sp_limit_note(&notes, &limits, &cpu, 1001);
    SP_AUTO_FREE char *later = sp_limit_note(&notes, &limits, &pids, 61000);

    (void)state;
    assert_non_null(strstr(first, "the limit is 40 (space.pids)"));
    assert_non_null(strstr(other, "1.50 cores"));
    assert_non_null(later);
    assert_null(sp_limit_note(&notes, &limits, &pids, 61001));
}

static void test_a_fork_bomb_hears_what_it_gets_until_it_stops(void **state)
{
    struct sp_limit_notes notes = {.gpu_used_bytes = 0};
    struct sp_launch_msg forks = hit(SP_LAUNCH_LIMIT_FORKS);
    SP_AUTO_FREE char *note = NULL;

    (void)state;
    forks.hit.usage.pids_refused = 812;
    note = sp_limit_note(&notes, &limits, &forks, 1000);
    assert_non_null(strstr(note, "812 were refused (space.pids): it gets 0.05 cores until"));
}

static void test_pressure_is_given_in_percent_and_memory_is_left_to_the_exit(void **state)
{
    struct sp_limit_notes notes = {.gpu_used_bytes = 0};
    struct sp_launch_msg pressure = hit(SP_LAUNCH_LIMIT_PRESSURE);
    struct sp_launch_msg memory = hit(SP_LAUNCH_LIMIT_MEMORY), unknown = hit(SP_LAUNCH_LIMITS);
    SP_AUTO_FREE char *note = sp_limit_note(&notes, &limits, &pressure, 1000);

    (void)state;
    assert_non_null(strstr(note, "61 % for memory, 0 % for disk"));
    assert_null(sp_limit_note(&notes, &limits, &memory, 1000));
    assert_null(sp_limit_note(&notes, &limits, &unknown, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_memory_names_limit_and_peak_in_human_sizes),
        cmocka_unit_test(test_gpu_memory_is_kept_for_the_exit_which_names_limit_and_use),
        cmocka_unit_test(test_a_limit_is_noted_once_a_minute_and_each_for_itself),
        cmocka_unit_test(test_a_fork_bomb_hears_what_it_gets_until_it_stops),
        cmocka_unit_test(test_pressure_is_given_in_percent_and_memory_is_left_to_the_exit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
