/* Leases of GPU slots, and the watch over the memory of shared ones. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/init.h"
#include "sandbox/launcher/gpus.h"
#include "sandbox/launcher/launcher-internal.h"

#define LOOK_MS    200  /* between two looks at what the child said; it speaks once a second */
#define AGAIN_MS   2000 /* after a child that ended by itself */
#define SILENT_MS  5000 /* a driver that hangs: the child is ended, and another tries */
#define CGROUP_MAX 8192 /* of /proc/PID/cgroup */
#define REAP_TRIES 200

int sp_gpus_take(struct sp_launcher *l, const struct sp_launch_msg *msg, struct sp_gpu_lease *ret,
                 struct sp_error *err)
{
    size_t n = msg->sandbox_start.n_gpus;

    memset(ret, 0, sizeof(*ret));
    if (n == 0)
        return 0;
    if (l->gpus.pool.list.n == 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "this host has no GPU slot: %s",
                            l->gpus.pool.list.why);
    if (!(l->isolate & SP_ISOLATE_MOUNT))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "GPU slots need a mount namespace, which this host cannot give");
    return sp_gpu_pool_take(&l->gpus.pool, msg->sandbox_start.gpus, n, ret, err);
}

void sp_gpus_release(struct sp_launcher *l, struct sp_box *box)
{
    sp_gpu_pool_release(&l->gpus.pool, &box->gpus);
}

void sp_gpus_tell(struct sp_launcher *l, const struct sp_launch_msg *msg)
{
    const struct sp_gpu_pool *pool = &l->gpus.pool;
    size_t i = msg->gpus.index;
    const struct sp_gpu_slot *slot;
    struct sp_launch_msg answer;

    if (i >= pool->list.n) {
        sp_spacesd_failed(l, msg->seq, 0, 0, SP_ERR_NOT_FOUND, "there are not that many GPU slots");
        return;
    }
    slot = &pool->list.slots[i];
    sp_launch_msg_init(&answer, SP_LAUNCH_OK);
    answer.seq = msg->seq;
    answer.gpu.index = (uint32_t)i;
    answer.gpu.kind = slot->kind;
    answer.gpu.holders = pool->holders[i];
    answer.gpu.memory_bytes = slot->memory_bytes;
    answer.gpu.lent_bytes = pool->lent_bytes[i];
    (void)snprintf(answer.gpu.id, sizeof(answer.gpu.id), "%s", slot->id);
    (void)snprintf(answer.gpu.model, sizeof(answer.gpu.model), "%s", slot->model);
    (void)snprintf(answer.gpu.promise, sizeof(answer.gpu.promise), "%s",
                   sp_gpu_kind_promise(slot->kind));
    sp_spacesd_send(l, &answer);
}

/* --- whose process --- */

/* The path in one of its groups is "/.../<name of the box's group>", or goes on below it. */
static bool is_in(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if (at > text && at[-1] == '/' && (at[len] == '\n' || at[len] == '/' || at[len] == '\0'))
            return true;
    return false;
}

static struct sp_box *box_of(struct sp_launcher *l, int pid)
{
    SP_AUTO_FREE char *text = NULL;
    char path[32];
    size_t len;

    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
    if (sp_file_read(AT_FDCWD, path, CGROUP_MAX, &text, &len, NULL) < 0)
        return NULL; /* it has ended */
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (box->gpus.n > 0 && box->cgroup.name[0] && is_in(text, box->cgroup.name))
            return box;
    return NULL;
}

static void end_overdrawn(struct sp_launcher *l, struct sp_box *box)
{
    struct sp_launch_msg msg;

    sp_launch_msg_init(&msg, SP_LAUNCH_LIMIT_HIT);
    msg.sandbox = box->id;
    msg.hit.limit = SP_LAUNCH_LIMIT_GPU_MEMORY;
    sp_cgroup_usage(&l->groups, &box->cgroup, &msg.hit.usage);
    msg.hit.usage.gpu_memory_bytes = sp_gpu_lease_used(&box->gpus);
    sp_log(SP_LOG_WARN, "launcher.gpu_memory", "sandbox=%llu used=%llu",
           (unsigned long long)box->id, (unsigned long long)msg.hit.usage.gpu_memory_bytes);
    sp_spacesd_send(l, &msg);
    sp_box_stop(l, box, 0);
}

static void on_usage(struct sp_launcher *l, const struct sp_gpu_usage *usage)
{
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        for (size_t k = 0; k < box->gpus.n; k++)
            box->gpus.held[k].used_bytes = 0;
    for (size_t i = 0; i < usage->n; i++) {
        struct sp_box *box = box_of(l, usage->uses[i].pid);

        for (size_t k = 0; box && k < box->gpus.n; k++)
            if (strcmp(l->gpus.pool.list.slots[box->gpus.held[k].slot].id, usage->uses[i].slot) ==
                0)
                box->gpus.held[k].used_bytes += usage->uses[i].bytes;
    }
    SP_LIST_EACH (box, &l->boxes, struct sp_box, list)
        if (sp_gpu_lease_overdrawn(&l->gpus.pool, &box->gpus) && box->state == SP_BOX_RUNNING)
            end_overdrawn(l, box);
}

/* --- the child --- */

void sp_gpus_end(struct sp_launcher *l)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    sp_auto_fd(&l->gpus.watch.fd);
    l->gpus.watch.fd = -1;
    l->gpus.watch.len = 0;
    if (!l->gpus.watch.pid)
        return;
    (void)kill(l->gpus.watch.pid, SIGKILL);
    /* One that hangs in the driver is left: it dies when the driver lets go. */
    for (int i = 0; i < REAP_TRIES && waitpid(l->gpus.watch.pid, NULL, WNOHANG) == 0; i++)
        (void)nanosleep(&pause, NULL);
    l->gpus.watch.pid = 0;
}

static void lost(struct sp_launcher *l, const char *why)
{
    sp_gpus_end(l);
    l->gpus.watch.next_ms = sp_clock_mono_ms() + AGAIN_MS;
    if (l->gpus.watch.failures++ == 0)
        sp_log(SP_LOG_WARN, "launcher.gpu_watch", "err=%s", sp_log_quoted(why));
}

static void start(struct sp_launcher *l)
{
    pid_t pid = sp_gpus_spawn(l, "--watch", &l->gpus.watch.fd);

    if (pid < 0) {
        lost(l, strerror(-(int)pid));
        return;
    }
    if (!l->gpus.watch.line)
        l->gpus.watch.line = sp_alloc0(1, SP_GPUS_LINE_MAX);
    l->gpus.watch.pid = pid;
    l->gpus.watch.heard_ms = sp_clock_mono_ms();
    l->gpus.watch.next_ms = l->gpus.watch.heard_ms + LOOK_MS;
}

/* Each whole line of what has come; false when one is not what was agreed. */
static bool take_lines(struct sp_launcher *l)
{
    static struct sp_gpu_usage usage;
    char *line = l->gpus.watch.line, *end;
    struct sp_error err = {0};

    while ((end = memchr(line, '\n', l->gpus.watch.len))) {
        size_t used = (size_t)(end - line) + 1;

        if (sp_gpu_usage_parse(sp_slice(line, used - 1), &usage, &err) < 0)
            return false;
        l->gpus.watch.failures = 0;
        memmove(line, end + 1, l->gpus.watch.len - used);
        l->gpus.watch.len -= used;
        on_usage(l, &usage);
        if (l->gpus.watch.fd < 0)
            return true;
    }
    return l->gpus.watch.len < SP_GPUS_LINE_MAX;
}

static void look(struct sp_launcher *l)
{
    ssize_t n;

    l->gpus.watch.next_ms = sp_clock_mono_ms() + LOOK_MS;
    n = read(l->gpus.watch.fd, l->gpus.watch.line + l->gpus.watch.len,
             SP_GPUS_LINE_MAX - l->gpus.watch.len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        if (sp_clock_mono_ms() - l->gpus.watch.heard_ms > SILENT_MS)
            lost(l, "spaces-gpu says nothing: memory of shared GPU slots is not watched");
        return;
    }
    if (n <= 0) {
        lost(l, "spaces-gpu ended: memory of shared GPU slots is not watched");
        return;
    }
    l->gpus.watch.heard_ms = sp_clock_mono_ms();
    l->gpus.watch.len += (size_t)n;
    if (!take_lines(l))
        lost(l, "spaces-gpu said what is no use: memory of shared GPU slots is not watched");
}

uint64_t sp_gpus_next_ms(const struct sp_launcher *l)
{
    return l->gpus.pool.n_leases > 0 ? l->gpus.watch.next_ms : UINT64_MAX;
}

void sp_gpus_turn(struct sp_launcher *l)
{
    if (l->gpus.pool.n_leases == 0) {
        if (l->gpus.watch.pid)
            sp_gpus_end(l);
        l->gpus.watch.next_ms = 0;
        return;
    }
    if (sp_clock_mono_ms() < l->gpus.watch.next_ms)
        return;
    if (l->gpus.watch.pid)
        look(l);
    else
        start(l);
}
