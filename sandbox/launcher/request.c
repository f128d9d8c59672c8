#include "sandbox/launcher/request.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/image.h"
#include "sandbox/network_options.h"

#define GRACE_MAX_MS 600000u
#define ARGC_MAX     256u
#define ENVC_MAX     256u

static const struct {
    const char *name;
    size_t offset; /* in struct sp_launch_limits */
    bool is_64;
    uint64_t least, most;
} limits_table[] = {
    {"memory", offsetof(struct sp_launch_limits, memory_bytes), true, 16u << 20, 1ull << 46},
    {"layer", offsetof(struct sp_launch_limits, layer_bytes), true, 1u << 20, 1ull << 46},
    {"shm", offsetof(struct sp_launch_limits, shm_bytes), true, 64u << 10, 1ull << 46},
    {"data", offsetof(struct sp_launch_limits, data_bytes), true, 0, 1ull << 46},
    {"data inodes", offsetof(struct sp_launch_limits, data_inodes), false, 0,
     SP_LAUNCH_DATA_INODES_MAX},
    {"disk write", offsetof(struct sp_launch_limits, disk_write_bytes), true, 1u << 20, 1ull << 46},
    {"io weight", offsetof(struct sp_launch_limits, io_weight), false, 0, 1000},
    {"layer inodes", offsetof(struct sp_launch_limits, layer_inodes), false, 256, 100000000},
    {"cpu", offsetof(struct sp_launch_limits, cpu_millis), false, 10, 4096u * 1000},
    {"pids", offsetof(struct sp_launch_limits, pids), false, 8, 4u << 20},
    {"open files", offsetof(struct sp_launch_limits, nofile), false, 64, 1u << 20},
};

static uint64_t get(const struct sp_launch_limits *limits, size_t i)
{
    const char *at = (const char *)limits + limits_table[i].offset;
    uint64_t wide;
    uint32_t narrow;

    if (limits_table[i].is_64) {
        memcpy(&wide, at, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, at, sizeof(narrow));
    return narrow;
}

static void set(struct sp_launch_limits *limits, size_t i, uint64_t value)
{
    char *at = (char *)limits + limits_table[i].offset;
    uint32_t narrow = (uint32_t)value;

    if (limits_table[i].is_64)
        memcpy(at, &value, sizeof(value));
    else
        memcpy(at, &narrow, sizeof(narrow));
}

void sp_launch_request_limits(const struct sp_launch_limits *asked, struct sp_launch_limits *ret)
{
    *ret = *asked;
    for (size_t i = 0; i < SP_LEN(limits_table); i++)
        if (get(asked, i) < limits_table[i].least)
            set(ret, i, limits_table[i].least);
}

static int check_limits(const struct sp_launch_limits *limits, struct sp_error *err)
{
    for (size_t i = 0; i < SP_LEN(limits_table); i++)
        if (get(limits, i) > limits_table[i].most)
            return sp_error_set(err, SP_ERR_INVALID, 0, "%s limit: %llu is over %llu",
                                limits_table[i].name, (unsigned long long)get(limits, i),
                                (unsigned long long)limits_table[i].most);
    return 0;
}

/* Exactly SP_LAUNCH_HASH_LEN lower-case hexadecimal digits and a terminator. */
static bool is_hash(const char *text)
{
    for (size_t i = 0; i < SP_LAUNCH_HASH_LEN; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return text[SP_LAUNCH_HASH_LEN] == '\0';
}

static bool is_hostname(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    if (len == 0 || len == size || text[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'z') ||
              text[i] == '-'))
            return false;
    return true;
}

/* Whether the operator allows it is another matter: network.c. */
static int check_network(const struct sp_launch_msg *msg, struct sp_error *err)
{
    const char *allow = msg->sandbox_start.allow;

    if (msg->sandbox_start.network > SP_LAUNCH_NETWORK_ALLOW_LIST)
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "unknown network %u",
                            msg->sandbox_start.network);
    if (strnlen(allow, sizeof(msg->sandbox_start.allow)) == sizeof(msg->sandbox_start.allow))
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "the list of names is not terminated");
    if (allow[0] && msg->sandbox_start.network != SP_LAUNCH_NETWORK_ALLOW_LIST)
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "names to allow without an allow-list");
    if (!sp_network_list_valid(allow))
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL,
                            "names to allow: expected such as example.org,*.example.net");
    return 0;
}

static int check_sandbox_start(const struct sp_launch_msg *msg, struct sp_error *err)
{
    if (msg->sandbox_start.space == 0)
        return sp_error_set(err, SP_ERR_INVALID, 0, "space id is 0");
    if (!is_hash(msg->sandbox_start.snapshot))
        return sp_error_set(err, SP_ERR_INVALID, 0, "snapshot is not 64 hexadecimal digits");
    if (msg->sandbox_start.base[0] && !is_hash(msg->sandbox_start.base))
        return sp_error_set(err, SP_ERR_INVALID, 0, "base is not 64 hexadecimal digits");
    if (!is_hostname(msg->sandbox_start.hostname, sizeof(msg->sandbox_start.hostname)))
        return sp_error_set(err, SP_ERR_INVALID, 0, "host name is not [a-z0-9-]");
    if (check_network(msg, err) < 0)
        return err ? err->sys : -EINVAL;
    if (msg->sandbox_start.n_gpus > SP_LAUNCH_GPUS_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%u GPU slots: allowed are %d",
                            msg->sandbox_start.n_gpus, SP_LAUNCH_GPUS_MAX);
    if (msg->sandbox_start.limits.data_bytes != 0 &&
        msg->sandbox_start.limits.data_bytes < SP_IMAGE_LEAST)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'/data' has at least 16 MiB");
    return check_limits(&msg->sandbox_start.limits, err);
}

static int check_worker_start(const struct sp_launch_msg *msg, struct sp_error *err)
{
    uint32_t len = msg->worker_start.args_len, strings = 0;

    if (msg->worker_start.argc < 1 || msg->worker_start.argc > ARGC_MAX ||
        msg->worker_start.envc > ENVC_MAX)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "%u arguments and %u variables: allowed are 1-%u and %u",
                            msg->worker_start.argc, msg->worker_start.envc, ARGC_MAX, ENVC_MAX);
    if (len == 0 || len > SP_LAUNCH_ARGS_MAX || msg->worker_start.args[len - 1] != '\0')
        return sp_error_set(err, SP_ERR_INVALID, 0, "arguments are not terminated");
    for (uint32_t i = 0; i < len; i++)
        strings += msg->worker_start.args[i] == '\0';
    if (strings != msg->worker_start.argc + msg->worker_start.envc)
        return sp_error_set(err, SP_ERR_INVALID, 0, "%u strings where %u are announced", strings,
                            msg->worker_start.argc + msg->worker_start.envc);
    if (msg->worker_start.how > SP_LAUNCH_FORK)
        return sp_error_set(err, SP_ERR_INVALID, 0, "unknown way to start a worker: %u",
                            msg->worker_start.how);
    if (msg->worker_start.args[0] != '/')
        return sp_error_set(err, SP_ERR_INVALID, 0, "program is not an absolute path");
    return 0;
}

static int check_grace(const struct sp_launch_msg *msg, struct sp_error *err)
{
    if (msg->stop.grace_ms > GRACE_MAX_MS)
        return sp_error_set(err, SP_ERR_INVALID, 0, "grace of %u ms is over %u", msg->stop.grace_ms,
                            GRACE_MAX_MS);
    return 0;
}

static int check_freeze(const struct sp_launch_msg *msg, struct sp_error *err)
{
    unsigned char on;

    memcpy(&on, &msg->freeze.on, sizeof(on)); /* any byte may be there */
    return on > 1 ? sp_error_set(err, SP_ERR_INVALID, 0, "freeze is neither on nor off") : 0;
}

/* Which ids a kind carries, and how many descriptors. */
static const struct {
    enum sp_launch_kind kind;
    bool has_sandbox, has_worker;
    size_t n_fds;
    int (*check)(const struct sp_launch_msg *msg, struct sp_error *err);
} kinds[] = {
    {SP_LAUNCH_HELLO, false, false, 0, NULL},
    {SP_LAUNCH_GPUS, false, false, 0, NULL},
    {SP_LAUNCH_SANDBOX_START, true, false, 0, check_sandbox_start},
    {SP_LAUNCH_WORKER_START, true, true, SP_LAUNCH_WORKER_FDS, check_worker_start},
    {SP_LAUNCH_WORKER_STOP, true, true, 0, check_grace},
    {SP_LAUNCH_SANDBOX_STOP, true, false, 0, check_grace},
    {SP_LAUNCH_USAGE, true, false, 0, NULL},
    {SP_LAUNCH_SOCKET, true, false, 0, NULL},
    {SP_LAUNCH_FREEZE, true, false, 0, check_freeze},
};

int sp_launch_request_check(const struct sp_launch_msg *msg, size_t n_fds, bool greeted,
                            struct sp_error *err)
{
    for (size_t i = 0; i < SP_LEN(kinds); i++) {
        if ((uint32_t)kinds[i].kind != msg->kind)
            continue;
        if (msg->seq == 0)
            return sp_error_set(err, SP_ERR_INVALID, 0, "request without a number");
        if ((msg->kind == SP_LAUNCH_HELLO) == greeted)
            return sp_error_set(err, SP_ERR_INVALID, 0, "%s",
                                greeted ? "a second hello" : "request before hello");
        if (n_fds != kinds[i].n_fds)
            return sp_error_set(err, SP_ERR_INVALID, 0, "%zu descriptors where %zu belong", n_fds,
                                kinds[i].n_fds);
        if ((msg->sandbox != 0) != kinds[i].has_sandbox ||
            (msg->worker != 0) != kinds[i].has_worker)
            return sp_error_set(err, SP_ERR_INVALID, 0, "ids do not fit the request");
        return kinds[i].check ? kinds[i].check(msg, err) : 0;
    }
    return sp_error_set(err, SP_ERR_INVALID, 0, "unknown request %u", msg->kind);
}
