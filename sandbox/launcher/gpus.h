/*
 * sandbox/launcher/gpus.h - GPU slots in the launcher: found once, checked, lent to sandboxes,
 * watched.
 *
 * What spaces-gpu says is hostile until it is checked here: a node must be one of a GPU driver's by
 * name and number and be there; a file must be root's, readable by everyone, and reached without a
 * link. A lease lasts as long as its sandbox; it is given back when nothing of that is left.
 *
 *   gpus_child.c   spaces-gpu as a child without rights      gpus_check.c   what may be lent
 *   gpus_place.c   /dev and the driver's files               gpus_watch.c   memory of shared slots
 */
#ifndef SP_SANDBOX_LAUNCHER_GPUS_H
#define SP_SANDBOX_LAUNCHER_GPUS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/gpu/pool.h"
#include "sandbox/seccomp.h"

struct sp_box;
struct sp_ctl;
struct sp_error;
struct sp_launcher;

#define SP_GPUS_LINE_MAX 131072 /* of one reading */

struct sp_gpus {
    const char *provider, *fake_file, *shared; /* settings; NULL = the default */
    struct sp_gpu_pool pool;
    int program_fd; /* spaces-gpu, or -1 */
    int fake_fd;
    uint32_t uid_base;         /* the child's user: nobody else's */
    struct sp_seccomp seccomp; /* of sandboxes with a lease; empty without slots */
    int files_fd;              /* folder with the driver's files, mounted; or -1 */
    struct {
        pid_t pid; /* 0 = not running */
        int fd;
        uint64_t next_ms;  /* when to look, or to start again */
        uint64_t heard_ms; /* when it last said something, or was started */
        unsigned failures;
        size_t len;
        char *line;
    } watch;
};

/* --- the child (gpus_child.c) --- */

/* Finds the program, asks it for the list, waits at most ten seconds, checks the answer. */
void sp_gpus_find(struct sp_launcher *l);
/* Compiles the filter for those who hold a slot; nothing where there is none. */
int sp_gpus_compile_filter(struct sp_gpus *gpus, struct sp_error *err);
/* Starts the child; `what` is "--list" or "--watch". Negative errno, or its pid. */
pid_t sp_gpus_spawn(struct sp_launcher *l, const char *what, int *ret_fd);

/* --- what may be lent (gpus_check.c) --- */

/* Takes out of the list what may not be lent, with a note in `why`. */
void sp_gpus_check(struct sp_gpu_list *list);
/* Opens a driver's file for binding. */
int sp_gpus_open_file(const char *path, int *ret_fd, struct sp_error *err);

/* --- in a sandbox (gpus_place.c) --- */

/* Before the shared root is built over `at`: a folder under it with the driver's files. */
void sp_gpus_put_files(struct sp_launcher *l, const char *at);
/* A /dev with the nodes of the lease, and the files: detached mounts; -1 when not needed. */
int sp_gpus_order(struct sp_launcher *l, const struct sp_box *box, int *ret_dev, int *ret_files,
                  struct sp_error *err);
/* Adds the slots' environment to a WORKER_START; what the daemon says of the same names goes. */
int sp_gpus_env(const struct sp_launcher *l, const struct sp_box *box, struct sp_ctl *order,
                struct sp_error *err);

/* --- leases and watch (gpus_watch.c) --- */

/* Takes the slots that a SANDBOX_START asks for. */
int sp_gpus_take(struct sp_launcher *l, const struct sp_launch_msg *msg, struct sp_gpu_lease *ret,
                 struct sp_error *err);
void sp_gpus_release(struct sp_launcher *l, struct sp_box *box);
/* Answers SP_LAUNCH_GPUS. */
void sp_gpus_tell(struct sp_launcher *l, const struct sp_launch_msg *msg);
/* In every turn of the loop: reads what the watch says, ends who has too much. */
void sp_gpus_turn(struct sp_launcher *l);
/* When it wants to be asked again; UINT64_MAX = not before a lease. */
uint64_t sp_gpus_next_ms(const struct sp_launcher *l);
/* Ends the child. */
void sp_gpus_end(struct sp_launcher *l);

#endif
