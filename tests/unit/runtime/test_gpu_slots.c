/* Which slots a flavour can have, who holds what, and what is said when there is none. */
#include "runtime/spaces/gpu_slots.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "runtime/spaces/launcher.h"
#include "tests/support/test.h"

#define GIB (1ull << 30)

static const struct sp_launch_gpu_info inventory[] = {
    {.id = "a",
     .kind = SP_LAUNCH_GPU_WHOLE,
     .memory_bytes = 80 * GIB,
     .model = "NVIDIA A100-SXM4-80GB",
     .promise = "hard"},
    {.id = "t",
     .kind = SP_LAUNCH_GPU_WHOLE,
     .memory_bytes = 16 * GIB,
     .model = "NVIDIA Tesla T4",
     .promise = "hard"},
    {.id = "s",
     .kind = SP_LAUNCH_GPU_SHARED,
     .memory_bytes = 16 * GIB,
     .model = "NVIDIA Tesla T4",
     .promise = "cooperative"},
};

struct world {
    uv_loop_t loop;
    struct sp_launcher *launcher;
    struct sp_gpu_slots *slots;
    int theirs;
    bool done;
};

static void ignore(void *arg, const struct sp_launch_msg *event)
{
    (void)arg;
    (void)event;
}

static void lost(void *arg, const char *why)
{
    (void)arg;
    fail_msg("lost: %s", why);
}

static void on_read(void *arg, const struct sp_error *err)
{
    assert_null(err);
    ((struct world *)arg)->done = true;
}

/* Answers one SP_LAUNCH_GPUS after the other, as the launcher does. */
static void answer(struct world *w)
{
    struct sp_launch_msg msg, reply;
    int fds[SP_LAUNCH_FDS_MAX];
    size_t n;

    if (sp_launch_recv(w->theirs, &msg, fds, &n, NULL) != 1)
        return;
    assert_int_equal(msg.kind, SP_LAUNCH_GPUS);
    sp_launch_msg_init(&reply, SP_LAUNCH_OK);
    reply.seq = msg.seq;
    reply.gpu = inventory[msg.gpus.index];
    assert_int_equal(sp_launch_send(w->theirs, &reply, NULL, 0, NULL), 0);
}

static void setup(struct world *w, uint32_t n, const char *why)
{
    const struct sp_launcher_hooks hooks = {ignore, ignore, ignore, lost, w};
    struct sp_launch_host host = {.n_gpus = n};
    int pair[2];

    memset(w, 0, sizeof(*w));
    assert_int_equal(uv_loop_init(&w->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                     0);
    w->theirs = pair[1];
    assert_int_equal(sp_launcher_new(&w->loop, pair[0], &hooks, &w->launcher, NULL), 0);
    w->slots = sp_gpu_slots_new();
    (void)snprintf(host.gpus_why, sizeof(host.gpus_why), "%s", why);
    sp_gpu_slots_read(w->slots, w->launcher, &host, on_read, w);
    while (!w->done) {
        answer(w);
        (void)uv_run(&w->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(sp_gpu_slots_count(w->slots), n);
}

static void teardown(struct world *w)
{
    sp_launcher_close(w->launcher);
    sp_gpu_slots_free(w->slots);
    (void)close(w->theirs);
    (void)uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
}

/* "gpu=T4 gpus=2" */
static struct sp_flavor flavor(const char *keys)
{
    struct sp_flavor all[SP_FLAVORS_MAX];
    char text[128];
    size_t n;

    (void)snprintf(text, sizeof(text), "f %s", keys);
    assert_int_equal(sp_flavors_parse(text, all, &n, NULL), 0);
    return all[1];
}

/* The ids that a sandbox gets, as "a,t"; a sentence when it gets none. */
static const char *take(struct world *w, const char *keys, uint64_t sandbox)
{
    static char text[512];
    struct sp_flavor f = flavor(keys);
    struct sp_launch_msg msg;
    struct sp_error err = {0};

    sp_launch_msg_init(&msg, SP_LAUNCH_SANDBOX_START);
    msg.sandbox = sandbox;
    msg.sandbox_start.space = sandbox + 100;
    text[0] = '\0';
    if (sp_gpu_slots_take(w->slots, &f, &msg, &err) < 0)
        (void)snprintf(text, sizeof(text), "%s", err.msg);
    for (uint32_t i = 0; i < msg.sandbox_start.n_gpus; i++)
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", i ? "," : "",
                       msg.sandbox_start.gpus[i].id);
    return text;
}

static enum sp_gpu_fit fit(struct world *w, const char *keys, uint64_t without)
{
    struct sp_flavor f = flavor(keys);

    return sp_gpu_slots_fit(w->slots, &f, without, NULL);
}

static void test_the_first_slots_of_the_kind_model_and_size_are_taken(void **state)
{
    struct world w;

    (void)state;
    setup(&w, 3, "");
    assert_string_equal(take(&w, "cpu=100", 1), "");
    assert_string_equal(take(&w, "gpu=tesla-t4", 2), "t");
    assert_string_equal(take(&w, "gpus=1", 3), "a"); /* shared slots have shares only */
    sp_gpu_slots_release(w.slots, 2);
    sp_gpu_slots_release(w.slots, 3);
    assert_string_equal(take(&w, "gpu_memory=20G", 4), "a");
    assert_string_equal(take(&w, "gpu=T4 gpus=2 gpu_memory=4G", 5), "t,s");
    assert_string_equal(take(&w, "gpu=shared gpu_memory=12G", 6), "s");
    teardown(&w);
}

static void test_what_this_host_never_has_is_told_from_what_others_hold(void **state)
{
    struct world w;

    (void)state;
    setup(&w, 3, "");
    assert_int_equal(fit(&w, "gpu=H100", 0), SP_GPU_NEVER);
    assert_int_equal(fit(&w, "gpu=mig", 0), SP_GPU_NEVER);
    assert_int_equal(fit(&w, "gpus=3", 0), SP_GPU_NEVER);
    assert_int_equal(fit(&w, "gpu=shared gpu_memory=17G", 0), SP_GPU_NEVER);
    assert_non_null(strstr(take(&w, "gpu=shared", 1), "does not say how large"));
    assert_string_equal(take(&w, "gpu=shared gpu_memory=10G", 1), "s");
    assert_int_equal(fit(&w, "gpu=shared gpu_memory=6G", 0), SP_GPU_FITS);
    assert_int_equal(fit(&w, "gpu=shared gpu_memory=7G", 0), SP_GPU_BUSY);
    assert_non_null(strstr(take(&w, "gpu=shared gpu_memory=7G", 2), "no more than 6144 MiB"));
    assert_string_equal(take(&w, "gpus=2", 3), "a,t");
    assert_non_null(strstr(take(&w, "gpus=1", 4), "0 of the 2 that will do are free"));
    teardown(&w);
}

static void test_a_lease_counts_until_it_is_released_and_not_for_its_own_space(void **state)
{
    struct world w;
    uint64_t bytes = 0;

    (void)state;
    setup(&w, 3, "");
    (void)take(&w, "gpu=A100", 1);
    (void)take(&w, "gpu=shared gpu_memory=10G", 2);
    assert_int_equal(fit(&w, "gpu=A100", 0), SP_GPU_BUSY);
    assert_int_equal(fit(&w, "gpu=A100", 101), SP_GPU_FITS);
    assert_int_equal(fit(&w, "gpu=A100", 102), SP_GPU_BUSY);
    sp_gpu_slots_ending(w.slots, 1, true);
    assert_int_equal(fit(&w, "gpu=A100", 0), SP_GPU_SOON);
    assert_non_null(strstr(take(&w, "gpu=A100", 3), "is ending"));
    sp_gpu_slots_ending(w.slots, 1, false);
    assert_int_equal(fit(&w, "gpu=A100", 0), SP_GPU_BUSY);
    assert_true(sp_gpu_slots_held(w.slots, 2, &bytes));
    assert_true(bytes == 10 * GIB);
    sp_gpu_slots_release(w.slots, 1);
    sp_gpu_slots_release(w.slots, 1);
    sp_gpu_slots_ending(w.slots, 1, true);
    assert_false(sp_gpu_slots_held(w.slots, 1, NULL));
    assert_int_equal(fit(&w, "gpu=A100", 0), SP_GPU_FITS);
    teardown(&w);
}

static void test_an_offer_promises_what_the_weakest_of_its_kinds_does(void **state)
{
    struct sp_flavor any = flavor("gpus=1 gpu_memory=4G"), whole = flavor("gpu=whole gpus=2");
    struct sp_gpu_offer offer;
    struct world w;

    (void)state;
    setup(&w, 3, "");
    sp_gpu_slots_offer(w.slots, &any, &offer);
    assert_string_equal(offer.promise, "cooperative");
    sp_gpu_slots_offer(w.slots, &whole, &offer);
    assert_string_equal(offer.promise, "hard");
    assert_string_equal(offer.model, "NVIDIA A100-SXM4-80GB");
    teardown(&w);
}

static void test_without_slots_the_sentence_is_the_launchers(void **state)
{
    struct world w;

    (void)state;
    setup(&w, 0, "gpu.provider is none");
    assert_non_null(strstr(take(&w, "gpus=1", 1), "has no GPU slot: gpu.provider is none"));
    assert_int_equal(fit(&w, "cpu=100", 0), SP_GPU_FITS);
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_slots_of_the_kind_model_and_size_are_taken),
        cmocka_unit_test(test_what_this_host_never_has_is_told_from_what_others_hold),
        cmocka_unit_test(test_a_lease_counts_until_it_is_released_and_not_for_its_own_space),
        cmocka_unit_test(test_an_offer_promises_what_the_weakest_of_its_kinds_does),
        cmocka_unit_test(test_without_slots_the_sentence_is_the_launchers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
