/*
 * sandbox/launch.h - the conversation with spaces-launcher: requests out, replies and events in.
 *
 * One SOCK_SEQPACKET socket pair; one message per packet, a fixed struct and some descriptors
 * (SCM_RIGHTS). The launcher is root and trusts nothing here: kinds, phases, sizes, names and ids
 * are checked again on its side (sandbox/launcher/request.c). Plain data, so that a later version
 * can send it to another host.
 *
 * Words: a *sandbox* is one running version of one Space (namespaces, cgroup, mounts, pid 1). A
 * *worker* is one process of the app in it. Ids are chosen by the daemon, never 0, never reused
 * within a life of the launcher.
 */
#ifndef SP_SANDBOX_LAUNCH_H
#define SP_SANDBOX_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sp_error;

#define SP_LAUNCH_MAGIC    0x53504c31u /* "SPL1" */
#define SP_LAUNCH_HASH_LEN 64          /* hex digits of a snapshot's SHA-256 */
#define SP_LAUNCH_ARGS_MAX 16384

enum sp_launch_kind {
    /* daemon -> launcher */
    SP_LAUNCH_HELLO = 1,     /* first; answered with what this host can isolate */
    SP_LAUNCH_SANDBOX_START, /* build a sandbox and its pid 1 */
    SP_LAUNCH_WORKER_START,  /* exec a program in it; descriptors: see below */
    SP_LAUNCH_WORKER_STOP,   /* TERM, and after grace_ms kill it and all its descendants */
    SP_LAUNCH_SANDBOX_STOP,  /* TERM to all, kill after grace_ms, take everything away */
    SP_LAUNCH_USAGE,         /* read the counters */
    /*
     * Hold all of it where it stands (freeze.on), or let it go on. OK to the first when all is
     * held. A held one takes no WORKER_START; a stop, of it or of a worker, lets it go on first, so
     * that what ends can do so in its grace. The answer to a FREEZE that waits is FAILED then.
     */
    SP_LAUNCH_FREEZE,
    SP_LAUNCH_SOCKET, /* OK brings an unconnected TCP socket of its network namespace */
    SP_LAUNCH_GPUS,   /* the GPU slot of gpus.index; as many as the answer to HELLO said */

    /* launcher -> daemon */
    SP_LAUNCH_OK = 64,       /* answer to the request with the same seq */
    SP_LAUNCH_FAILED,        /* answer: error_kind and text say why; nothing was left behind */
    SP_LAUNCH_WORKER_EXITED, /* event: seq 0 */
    SP_LAUNCH_SANDBOX_GONE,  /* event: nothing of it is left: no process, mount or cgroup */
    SP_LAUNCH_LIMIT_HIT,     /* event: its app came to a limit; at most one a second and limit */
};

/* What a LIMIT_HIT is about. */
enum sp_launch_limit {
    SP_LAUNCH_LIMIT_MEMORY = 1, /* the kernel killed a process; all workers are being ended */
    SP_LAUNCH_LIMIT_PIDS,       /* a fork was refused */
    SP_LAUNCH_LIMIT_CPU,        /* it was held back for most of the time */
    SP_LAUNCH_LIMIT_PRESSURE,   /* it waits for memory or disk for most of the time */
    SP_LAUNCH_LIMIT_GPU_MEMORY, /* a shared slot was overdrawn; all workers are being ended */
    SP_LAUNCH_LIMIT_FORKS,      /* a fork bomb: it has SP_BRAKE_CPU_MILLIS until it stops */
    SP_LAUNCH_LIMITS,
};

#define SP_BRAKE_CPU_MILLIS 50u

/* What an app may reach beyond its sandbox. */
enum sp_launch_network {
    SP_LAUNCH_NETWORK_NONE,       /* its own loopback */
    SP_LAUNCH_NETWORK_OUTBOUND,   /* public addresses */
    SP_LAUNCH_NETWORK_ALLOW_LIST, /* the names in `allow`, and what they resolve to */
};

/* How WORKER_START makes the process. */
enum sp_launch_how {
    SP_LAUNCH_EXEC, /* execs argv */
    /*
     * Execs argv as the zygote of the sandbox: at most one. OK comes when it is ready to fork,
     * FAILED with its reason when it will not. Its fd 3 is a socket to pid 1 instead of the first
     * descriptor; docs/worker-protocol.md, "Zygote".
     */
    SP_LAUNCH_ZYGOTE,
    SP_LAUNCH_FORK, /* forks the zygote; argv and environment go to the child as words */
};

/* 0 in a field means "the least that works", never "no limit". */
#define SP_LAUNCH_DATA_INODES_MAX 100000000

struct sp_launch_limits {
    uint64_t memory_bytes;     /* swap is 0 */
    uint64_t layer_bytes;      /* writable layer: home, /tmp; tmpfs, so it counts as memory too */
    uint64_t shm_bytes;        /* /dev/shm */
    uint64_t data_bytes;       /* /data, kept between starts; 0 = there is none */
    uint64_t disk_write_bytes; /* a second, to the disk of the state folder */
    uint32_t data_inodes;      /* at most SP_LAUNCH_DATA_INODES_MAX */
    uint32_t layer_inodes;
    uint32_t cpu_millis; /* 1000 = one core, all the time */
    uint32_t pids;
    uint32_t nofile;
    uint32_t io_weight; /* 1-1000 beside the other Spaces; 0 = 100 */
};

/* A GPU slot to hold while the sandbox lives: an id of the launcher's own inventory. */
struct sp_launch_gpu {
    char id[80];
    uint64_t memory_bytes; /* of a shared slot; 0 for whole and MIG slots */
};
#define SP_LAUNCH_GPUS_MAX 8

struct sp_launch_usage {
    uint64_t cpu_ns;
    uint64_t memory_bytes;
    uint64_t memory_peak_bytes;
    uint64_t throttled_ns;
    uint64_t gpu_memory_bytes;
    uint32_t pids;
    uint32_t oom_kills;
    uint32_t pids_refused;    /* forks that the limit has stopped */
    uint32_t cpu_pressure;    /* share of the last 10 s in which something waited, in 1/10000 */
    uint32_t memory_pressure; /* the same */
    uint32_t io_pressure;
};

/* What the launcher found when it started; see sandbox/probe.h for the whole list. */
struct sp_launch_host {
    bool complete;      /* every protection is on; otherwise --allow-weak-sandbox is needed */
    char missing[480];  /* "user namespaces: ...; memory limit: ..." for a person */
    uint32_t n_gpus;    /* GPU slots: ask for each with SP_LAUNCH_GPUS */
    char gpus_why[300]; /* why there is none, or what was left out */
};

enum sp_launch_gpu_kind {
    SP_LAUNCH_GPU_WHOLE = 1, /* as enum sp_gpu_kind has them */
    SP_LAUNCH_GPU_MIG,
    SP_LAUNCH_GPU_SHARED,
};

/*
 * A GPU slot of this host (sandbox/gpu/slot.h), and who holds it now. Its id is what SANDBOX_START
 * names in `gpus`. A whole or MIG slot has one holder; of a shared one each holder gets a share of
 * the memory, and what all have asked for is never more than there is. Lent until SANDBOX_GONE.
 */
struct sp_launch_gpu_info {
    uint32_t index;
    uint32_t kind; /* enum sp_launch_gpu_kind */
    uint32_t holders;
    uint64_t memory_bytes; /* 0 = not known */
    uint64_t lent_bytes;   /* of a shared one */
    char id[80];
    char model[64];
    char promise[160]; /* what this kind of slot promises, hard limit or cooperative */
};

struct sp_launch_msg {
    uint32_t magic;
    uint32_t kind;
    uint64_t seq; /* of a request, repeated in its answer; 0 in an event */
    uint64_t sandbox;
    uint64_t worker; /* WORKER_* */
    union {
        struct {
            uint64_t space; /* files/<space as 16 hex digits> below the state folder */
            char snapshot[SP_LAUNCH_HASH_LEN + 1]; /* snapshots/<hash>/ below the state folder */
            char hostname[64];                     /* [a-z0-9-], for uname */
            struct sp_launch_limits limits;
            uint32_t network; /* enum sp_launch_network */
            uint32_t n_gpus;
            struct sp_launch_gpu gpus[SP_LAUNCH_GPUS_MAX];
            char allow[1024]; /* ALLOW_LIST: host names, divided by commas; "*.example.org" */
            char base[SP_LAUNCH_HASH_LEN + 1]; /* bases/<hash>/root/ below it; "" = the host's */
        } sandbox_start;
        struct {
            /*
             * argv, then environment, each string NUL-terminated; `args_len` bytes in all. argv[0]
             * is an absolute path inside of the sandbox. Runs as uid 1000 in /home/user/app.
             */
            uint32_t argc;
            uint32_t envc;
            uint32_t args_len;
            uint32_t how; /* enum sp_launch_how */
            char args[SP_LAUNCH_ARGS_MAX];
        } worker_start;
        struct {
            bool on;
        } freeze;
        struct {
            uint32_t limit; /* enum sp_launch_limit */
            struct sp_launch_usage usage;
        } hit;
        struct {
            uint32_t grace_ms;
        } stop;
        struct sp_launch_host host; /* OK to HELLO */
        struct {
            uint32_t index; /* from 0 */
        } gpus;
        struct sp_launch_gpu_info gpu; /* OK to GPUS */
        struct {
            int32_t status; /* exit code, or -1 when a signal ended it */
            int32_t signal; /* 0 when it exited */
            bool oom;       /* the memory limit ended it */
            struct sp_launch_usage usage;
        } exited;
        struct sp_launch_usage usage; /* OK to USAGE, and SANDBOX_GONE: the last counters */
        struct {
            uint32_t error_kind; /* enum sp_err_kind */
            char text[500];
        } failed;
    };
};

/*
 * Descriptors that go with WORKER_START, in this order: the worker's end of its protocol socket
 * (becomes fd 3 there), then the write end of its log (becomes stdout and stderr). The OK to
 * SOCKET brings one. All others: none.
 */
#define SP_LAUNCH_WORKER_FDS 2
#define SP_LAUNCH_FDS_MAX    2

/* A cleared message of a kind. */
void sp_launch_msg_init(struct sp_launch_msg *msg, enum sp_launch_kind kind);

/* Packs argv and env (NULL-terminated arrays) into a WORKER_START; SP_ERR_LIMIT when too long. */
int sp_launch_pack_args(struct sp_launch_msg *msg, const char *const *argv, const char *const *env,
                        struct sp_error *err);

/* Sends one message; the descriptors stay the caller's. -EAGAIN when the socket is full. */
int sp_launch_send(int sock, const struct sp_launch_msg *msg, const int *fds, size_t n_fds,
                   struct sp_error *err);

/*
 * Receives one message. Returns 1, 0 at the end of the conversation, negative errno otherwise
 * (-EAGAIN on an empty non-blocking socket; -EPROTO for a packet of another size or magic).
 * Descriptors that came along are the caller's; more than SP_LAUNCH_FDS_MAX is -EPROTO.
 */
int sp_launch_recv(int sock, struct sp_launch_msg *ret, int fds[SP_LAUNCH_FDS_MAX],
                   size_t *ret_n_fds, struct sp_error *err);

const char *sp_launch_kind_to_string(enum sp_launch_kind kind);

#endif
