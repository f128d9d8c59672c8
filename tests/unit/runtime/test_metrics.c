/* Prometheus text, distributions, and the watch on the loop. */
#include "runtime/loop.h"
#include "runtime/metrics.h"

#include "base/clock.h"
#include "tests/support/test.h"

static struct sp_buf text;

static int setup(void **state)
{
    (void)state;
    sp_buf_init(&text, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sp_buf_done(&text);
    return 0;
}

static void assert_written(const char *wanted)
{
    if (!strstr(sp_buf_str(&text), wanted))
        fail_msg("'%s' is not in:\n%s", wanted, sp_buf_str(&text));
}

static void test_values_keep_all_their_digits(void **state)
{
    (void)state;
    sp_metrics_counter(&text, "spacesd_x_total", "How many", 12345678901ull);
    sp_metrics_gauge(&text, "spacesd_y", "How much", 0.25);
    assert_written("# HELP spacesd_x_total How many\n# TYPE spacesd_x_total counter\n"
                   "spacesd_x_total 12345678901\n");
    assert_written("spacesd_y 0.25\n");
}

static void test_labels_are_escaped(void **state)
{
    SP_AUTO_BUF struct sp_buf labels;

    (void)state;
    sp_buf_init(&labels, 0);
    sp_metrics_label(&labels, "space", "a/\"b\"\\\n");
    sp_metrics_label(&labels, "stage", "RUNNING");
    sp_metrics_value(&text, "spacesd_z", sp_buf_str(&labels), 1);
    assert_written("spacesd_z{space=\"a/\\\"b\\\"\\\\\\n\",stage=\"RUNNING\"} 1\n");
}

static void test_a_histogram_counts_cumulatively(void **state)
{
    struct sp_histogram histogram = {0};

    (void)state;
    sp_histogram_observe(&histogram, 100);
    sp_histogram_observe(&histogram, 300);
    sp_histogram_observe(&histogram, 20u * 1000 * 1000);
    sp_metrics_histogram(&text, "spacesd_w_seconds", "Waits", &histogram);
    assert_written("spacesd_w_seconds_bucket{le=\"0.00025\"} 1\n");
    assert_written("spacesd_w_seconds_bucket{le=\"0.0005\"} 2\n");
    assert_written("spacesd_w_seconds_bucket{le=\"8.192\"} 2\n");
    assert_written("spacesd_w_seconds_bucket{le=\"+Inf\"} 3\n");
    assert_written("spacesd_w_seconds_count 3\n");
    assert_int_equal(sp_histogram_percentile(&histogram, 50), 500);
    assert_int_equal(sp_histogram_percentile(&histogram, 99), 20u * 1000 * 1000);
}

static void collect(void *arg, struct sp_buf *out)
{
    sp_metrics_counter(out, "spacesd_mine_total", "Mine", *(uint64_t *)arg);
}

static void test_the_registry_asks_its_collectors(void **state)
{
    struct sp_metrics *metrics = sp_metrics_new();
    uint64_t value = 7;

    (void)state;
    sp_metrics_add(metrics, collect, &value);
    sp_metrics_write(metrics, &text);
    assert_written("process_resident_memory_bytes ");
    assert_written("spacesd_mine_total 7\n");
    sp_metrics_remove(metrics, &value);
    sp_buf_reset(&text);
    sp_metrics_write(metrics, &text);
    assert_null(strstr(sp_buf_str(&text), "spacesd_mine_total"));
    sp_metrics_free(metrics);
}

/* Keeps the loop for 30 ms within one turn. */
static void on_async(uv_async_t *async)
{
    uint64_t until = sp_clock_mono_ms() + 30;

    while (sp_clock_mono_ms() < until)
        ;
    uv_close((uv_handle_t *)async, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer;
}

static void test_a_long_turn_is_noticed(void **state)
{
    struct sp_loop_watch watch;
    uv_loop_t loop;
    uv_async_t async;
    uv_timer_t after;

    (void)state;
    assert_int_equal(uv_loop_init(&loop), 0);
    sp_loop_watch_start(&watch, &loop);
    (void)uv_async_init(&loop, &async, on_async);
    (void)uv_timer_init(&loop, &after);
    (void)uv_timer_start(&after, on_timer, 10000, 0); /* keeps the loop alive */
    (void)uv_async_send(&async);
    for (int i = 0; i < 3; i++)
        (void)uv_run(&loop, UV_RUN_NOWAIT);
    assert_true(watch.longest_us >= 29000);
    assert_true(sp_loop_watch_longest(&watch) >= 29000);
    assert_int_equal(sp_loop_watch_longest(&watch), 0);
    assert_true(sp_histogram_percentile(&watch.lag, 100) >= 29000);

    sp_loop_list_handles(&loop, &text);
    assert_written("timer active\n");
    assert_written("prepare active unref\n");
    uv_close((uv_handle_t *)&after, NULL);
    sp_loop_watch_stop(&watch);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(watch.open_handles, 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values_keep_all_their_digits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_labels_are_escaped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_histogram_counts_cumulatively, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_registry_asks_its_collectors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_turn_is_noticed, setup, teardown),
    };

    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
