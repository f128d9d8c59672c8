/*
 * sandbox/launcher/launcher-internal.h - what the files of the launcher share.
 */
#ifndef SP_SANDBOX_LAUNCHER_INTERNAL_H
#define SP_SANDBOX_LAUNCHER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "sandbox/cgroup.h"
#include "sandbox/devices.h"
#include "sandbox/launch.h"
#include "sandbox/launcher/data.h"
#include "sandbox/launcher/gpus.h"
#include "sandbox/launcher/pool.h"
#include "sandbox/network/network.h"
#include "sandbox/probe.h"
#include "sandbox/rootfs.h"
#include "sandbox/seccomp.h"
#include "sandbox/userns.h"

struct sp_error;
struct sp_ctl;

#define SP_BOXES_MAX       512 /* sandboxes at a time */
#define SP_BOX_WORKERS_MAX 64

/* The process that makes networks, and what the operator lets Spaces choose: network.c. */
struct sp_launcher_network {
    struct sp_network_options options;
    int sock; /* to it, or -1 */
    pid_t pid;
    bool failed;   /* it has said why there is none */
    char why[320]; /* "" when there is one */
};

struct sp_launcher {
    int sock; /* to the daemon */
    int state_fd, sdk_fd;
    uid_t daemon_uid;
    gid_t daemon_gid;
    char state_id[17];
    char state_path[512], sdk_path[512]; /* for the weakest mode only: see weak.c */
    bool allow_weak;
    bool root_inside; /* --run-as-root-inside */
    bool trace;       /* SP_LAUNCH_TRACE=1: where the time of a start goes */
    bool greeted;
    bool closing; /* the daemon is gone */

    struct sp_probe probe;
    unsigned isolate; /* what every sandbox gets */
    struct sp_cgroup_host groups;
    struct sp_devices devices;
    int inotify;          /* limit files of all groups; see watch.c */
    int oom_events;       /* version 1: an eventfd of all groups, or -1 */
    uint64_t oom_look_ms; /* when to look who it was; 0 = nobody */
    unsigned oom_looks;   /* how often still */
    struct sp_seccomp seccomp;
    struct sp_rootfs rootfs;
    struct sp_userns_slots slots;
    struct sp_launcher_network network;
    uint32_t life;     /* random: keeps group names of two lives apart */
    uint64_t n_groups; /* made in this life: the other half of their names */

    struct sp_pool pool;
    struct sp_gpus gpus;

    struct sp_list boxes;
    unsigned n_boxes;
    struct sp_list out; /* messages that the socket had no room for */
    unsigned n_out;
};

enum sp_box_state {
    SP_BOX_PREPARING, /* pid 1 enters its groups and namespaces */
    SP_BOX_WAITING,   /* it is ready for a Space */
    SP_BOX_FETCHING,  /* a child prepares its /data; the order follows */
    SP_BOX_STARTING,  /* it has its order and sets itself up */
    SP_BOX_RUNNING,
    SP_BOX_STOPPING, /* pid 1 ends the workers */
    SP_BOX_KILLED,   /* SIGKILL is sent; waiting for the pidfd */
    SP_BOX_REMOVING, /* no process is left; groups are being removed */
};

enum sp_box_net {
    SP_BOX_NET_NONE,
    SP_BOX_NET_ASKED,
    SP_BOX_NET_ON,
    SP_BOX_NET_LEAVING,
};

struct sp_box_worker {
    uint64_t id;        /* 0 = free */
    uint64_t start_seq; /* not 0 while the start is unanswered */
};

/* What is known of forks that were refused (brake.c). */
struct sp_box_brake {
    bool on;
    bool writes_freely;     /* it is being stopped */
    uint64_t refused;       /* when the window began */
    uint64_t since_ms;      /* when that was */
    uint64_t not_before_ms; /* it is being stopped: no brake until then */
    uint64_t look_at_ms;    /* 0 = when the kernel tells */
};

struct sp_box {
    struct sp_list list;
    enum sp_box_state state;
    uint64_t id;    /* 0 = a spare */
    bool is_spare;  /* made ahead of demand, for no Space yet */
    bool from_pool; /* it was one */
    bool again;     /* it died of nothing that it said: one more attempt, with a fresh sandbox */
    struct sp_launch_msg *request; /* kept for that attempt while it starts; or NULL */
    uint64_t space;
    uint64_t start_seq; /* not 0 while SANDBOX_START is unanswered */
    char snapshot[SP_LAUNCH_HASH_LEN + 1];
    char base[SP_LAUNCH_HASH_LEN + 1];
    char hostname[64];
    pid_t pid;
    int idmap_fd; /* user namespace for the mounts, or -1 */
    int pidfd, ctl;
    int netns_fd; /* its network namespace, or -1 */
    dev_t netns_dev;
    uint32_t network; /* enum sp_launch_network */
    enum sp_box_net net;
    bool is_ready;         /* pid 1 is, and waits for the network */
    char ready_times[300]; /* what it said then */
    char allow[SP_NETWORK_LIST];
    ino_t netns_ino; /* which one that is, noted when pid 1 was born */
    struct sp_cgroup cgroup;
    struct sp_launch_limits limits;
    struct sp_box_data data;
    struct sp_gpu_lease gpus; /* held until nothing of it is left */
    uint32_t uid_base;        /* 0 = none taken */
    uint64_t deadline_ms;     /* 0 = none; what happens then depends on the state */
    struct sp_launch_usage last_usage;
    uint32_t fail_kind;
    char fail_text[500]; /* why the start failed */
    uint64_t began_ns;
    struct sp_box_worker workers[SP_BOX_WORKERS_MAX];

    int watch_memory, watch_pids; /* inotify's numbers, or -1 */
    uint64_t watch_at_ms;         /* the next look at what sends no event; 0 = none */
    uint64_t hit_at_ms[SP_LAUNCH_LIMITS];
    bool is_over[SP_LAUNCH_LIMITS]; /* of those that are states */
    bool ended_by_oom;              /* its workers are being ended for memory */

    struct sp_box_brake brake;

    bool frozen;
    uint64_t freeze_seq;    /* not 0 while a FREEZE is unanswered */
    uint64_t freeze_at_ms;  /* when to look again */
    uint64_t freeze_end_ms; /* when to give up */
};

/* spacesd.c: answers and events towards spacesd. Never blocks; keeps what does not fit. */
void sp_spacesd_send(struct sp_launcher *l, const struct sp_launch_msg *msg);
/* The descriptor goes along, and is taken in every case; -1 for none. */
void sp_spacesd_send_fd(struct sp_launcher *l, const struct sp_launch_msg *msg, int take_fd);
void sp_spacesd_ok(struct sp_launcher *l, uint64_t seq, uint64_t sandbox, uint64_t worker);
void sp_spacesd_failed(struct sp_launcher *l, uint64_t seq, uint64_t sandbox, uint64_t worker,
                       uint32_t kind, const char *text);
void sp_spacesd_flush(struct sp_launcher *l);
/* Reads requests until the socket is empty. Sets `closing` at its end. */
void sp_spacesd_read(struct sp_launcher *l);

/* boxes.c: the life of one sandbox. */
struct sp_box *sp_box_find(struct sp_launcher *l, uint64_t id);
void sp_box_start(struct sp_launcher *l, const struct sp_launch_msg *msg);
void sp_box_worker_start(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg,
                         const int *fds);
void sp_box_worker_stop(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg);
void sp_box_stop(struct sp_launcher *l, struct sp_box *box, uint32_t grace_ms);
void sp_box_kill(struct sp_launcher *l, struct sp_box *box);
void sp_box_on_ctl(struct sp_launcher *l, struct sp_box *box);
/* The child that prepares its /data has ended. */
void sp_box_on_data(struct sp_launcher *l, struct sp_box *box);
/* pid 1 has ended. */
void sp_box_on_exit(struct sp_launcher *l, struct sp_box *box);
/* Its deadline has come. May free the box. */
void sp_box_on_time(struct sp_launcher *l, struct sp_box *box);
/* Makes a sandbox for no Space yet (see pool.h). */
void sp_box_begin_spare(struct sp_launcher *l);
/* pid 1 is ready, and the network too: answers the start. */
void sp_box_ready(struct sp_launcher *l, struct sp_box *box, const char *times);

/* watch.c: the limits that an app comes to. */
int sp_watch_init(struct sp_launcher *l, struct sp_error *err);
void sp_watch_add(struct sp_launcher *l, struct sp_box *box);
void sp_watch_start(struct sp_box *box);
/* No later than its group: the kernel keeps a watch on a file of a group that is gone. */
void sp_watch_end(struct sp_launcher *l, struct sp_box *box);
/* A limit file has changed; the memory limit of some version 1 group was reached. */
void sp_watch_on_inotify(struct sp_launcher *l);
void sp_watch_on_oom(struct sp_launcher *l);
/* Their times have come. */
void sp_watch_look(struct sp_launcher *l, struct sp_box *box);
void sp_watch_look_for_oom(struct sp_launcher *l);
/* Tells spacesd, once a second at most. */
void sp_watch_hit(struct sp_launcher *l, struct sp_box *box, enum sp_launch_limit limit);
/* Notes what the memory limit has killed since the last call, and ends the rest of the app. */
void sp_watch_memory(struct sp_launcher *l, struct sp_box *box);

/* brake.c: after each refused fork, and now and then: slows a fork bomb, lets it go when it stops.
 */
void sp_brake_start(struct sp_launcher *l, struct sp_box *box);
void sp_brake_look(struct sp_launcher *l, struct sp_box *box);
/* Some or all of it is to be stopped within the grace, at full speed. */
void sp_brake_release(struct sp_launcher *l, struct sp_box *box, uint32_t grace_ms);

/* freeze.c: holding a sandbox. */
void sp_freeze(struct sp_launcher *l, struct sp_box *box, const struct sp_launch_msg *msg);
void sp_freeze_look(struct sp_launcher *l, struct sp_box *box);
/* Before a stop: lets it go on, and answers who waits for it to be held. */
void sp_freeze_end(struct sp_launcher *l, struct sp_box *box);

/* bases.c: a detached mount of its base; untouched where it has the host's root. */
int sp_box_base_open(const struct sp_launcher *l, const struct sp_box *box, int *ret_fd,
                     struct sp_error *err);

/* weak.c: argv and environment for a worker that sees the host's folders. */
int sp_weak_translate(const struct sp_launcher *l, const struct sp_box *box, struct sp_ctl *order,
                      struct sp_error *err);

/*
 * spawn.c: a start in two halves. The first needs no Space and holds what is slow: ids, group,
 * clone. The second gives the sandbox to a Space: limits, folders, the order to pid 1.
 */
int sp_box_prepare(struct sp_launcher *l, struct sp_box *box, struct sp_error *err);
int sp_box_order(struct sp_launcher *l, struct sp_box *box, struct sp_error *err);
/* What lies at a path beneath the state folder, by no link; SP_ERR_NOT_FOUND. */
int sp_state_open(const struct sp_launcher *l, const char *path, int *ret_fd, struct sp_error *err);
/* A folder of the state folder; made, for the daemon, where it is missing. */
int sp_state_folder(const struct sp_launcher *l, const char *name, int *ret_fd,
                    struct sp_error *err);
void sp_box_trace(const struct sp_launcher *l, const struct sp_box *box, const char *step);

#endif
