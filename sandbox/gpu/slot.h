/*
 * sandbox/gpu/slot.h - GPU slots: what a host can lend of its GPUs, as plain data.
 *
 * A *slot* is what one sandbox can hold: a whole GPU or one MIG instance (nobody else gets at it:
 * a hard limit), or a share of the memory of a GPU that others use too (cooperative: memory is
 * watched, and who takes more than asked for is ended). Slots are found once, when the launcher
 * starts, by spaces-gpu (provider.h), and named by their id from then on: "GPU-<uuid>",
 * "MIG-<uuid>", "pci-0000:03:00.0", or what a fake inventory says.
 *
 * The text form is one JSON object, the same in the answer of `spaces-gpu --list` and in the file
 * of a fake inventory:
 *
 *   {"provider": "fake", "why": "",
 *    "slots": [{"id": "GPU-0", "kind": "whole", "uuid": "GPU-0", "model": "...", "memory": BYTES,
 *               "nodes": [{"path": "/dev/nvidia0", "major": 195, "minor": 0}],
 *               "env": ["CUDA_VISIBLE_DEVICES=GPU-0"], "cdi": ["nvidia.com/gpu=0"]}],
 *    "mounts": [{"host": "/opt/driver/libcuda.so.1", "inside": "/opt/driver/libcuda.so.1"}],
 *    "usage": [{"pid": 17, "slot": "GPU-0", "bytes": 1048576}]}
 */
#ifndef SP_SANDBOX_GPU_SLOT_H
#define SP_SANDBOX_GPU_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct sp_buf;
struct sp_error;

enum sp_gpu_kind {
    SP_GPU_WHOLE = 1, /* one GPU, for one sandbox */
    SP_GPU_MIG,       /* one hardware instance of it, for one sandbox */
    SP_GPU_SHARED,    /* one GPU for several; memory is watched */
};

#define SP_GPU_SLOTS_MAX  128
#define SP_GPU_NODES_MAX  16
#define SP_GPU_ENV_MAX    8
#define SP_GPU_CDI_MAX    2
#define SP_GPU_MOUNTS_MAX 96
#define SP_GPU_USAGE_MAX  1024 /* processes in one reading */
#define SP_GPU_TEXT_MAX   ((size_t)256 << 10)
#define SP_GPU_BYTES_MAX                                                                           \
    (1ull << 50) /* more is this much: one odd number costs no whole reading                       \
                  */

/* A character device of the host. */
struct sp_gpu_node {
    char path[64];
    uint32_t major, minor;
};

/* A file of the driver, for every sandbox that holds a slot; read-only there. */
struct sp_gpu_mount {
    char host[192], inside[192];
};

struct sp_gpu_slot {
    char id[80];
    enum sp_gpu_kind kind;
    char uuid[80];
    char model[64];
    uint64_t memory_bytes; /* 0 = not known */
    size_t n_nodes;
    struct sp_gpu_node nodes[SP_GPU_NODES_MAX];
    size_t n_env;
    char env[SP_GPU_ENV_MAX][160]; /* NAME=value */
    size_t n_cdi;
    char cdi[SP_GPU_CDI_MAX][96]; /* its names in CDI files; the first that is there counts */
};

struct sp_gpu_list {
    char provider[16]; /* "none", "nvml", "drm", "fake" */
    char why[300];     /* why there is no slot, or what was left out; for a person */
    size_t n;
    struct sp_gpu_slot *slots; /* room for SP_GPU_SLOTS_MAX, or NULL */
    size_t n_mounts;
    struct sp_gpu_mount *mounts; /* room for SP_GPU_MOUNTS_MAX, or NULL */
};

/* GPU memory that a process holds in a slot's GPU; pid as the host sees it. */
struct sp_gpu_use {
    int pid;
    char slot[80];
    uint64_t bytes;
};

struct sp_gpu_usage {
    size_t n;
    struct sp_gpu_use uses[SP_GPU_USAGE_MAX];
};

void sp_gpu_list_init(struct sp_gpu_list *list);
void sp_gpu_list_done(struct sp_gpu_list *list);
/* A cleared slot at the end; NULL when there are SP_GPU_SLOTS_MAX. */
struct sp_gpu_slot *sp_gpu_list_add(struct sp_gpu_list *list);
struct sp_gpu_slot *sp_gpu_list_find(const struct sp_gpu_list *list, const char *id);
void sp_gpu_list_remove(struct sp_gpu_list *list, size_t i);
/* Adds a sentence to `why`. */
void sp_gpu_list_note(struct sp_gpu_list *list, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* False when there is no room, or it is there already (a node, a variable of that name). */
bool sp_gpu_slot_add_node(struct sp_gpu_slot *slot, const char *path, uint32_t major,
                          uint32_t minor);
bool sp_gpu_slot_add_env(struct sp_gpu_slot *slot, const char *name, const char *value);
bool sp_gpu_list_add_mount(struct sp_gpu_list *list, const char *host, const char *inside);

/*
 * Reads the text form into an initialised, empty list. Strict: every field is checked for its type,
 * size and characters; a key that is not known, two slots of one id, or too many of anything is
 * SP_ERR_INVALID or SP_ERR_LIMIT, and the list is empty then.
 */
int sp_gpu_list_parse(struct sp_slice text, struct sp_gpu_list *ret, struct sp_error *err);
void sp_gpu_list_print(const struct sp_gpu_list *list, struct sp_buf *out);

/* {"usage": [...]}: one line of `spaces-gpu --watch`. As strict; other keys of a list are fine. */
int sp_gpu_usage_parse(struct sp_slice text, struct sp_gpu_usage *ret, struct sp_error *err);
void sp_gpu_usage_print(const struct sp_gpu_usage *usage, struct sp_buf *out);

/* Whether the text form can say it: what others wrote is left out before it spoils the whole list.
 */
bool sp_gpu_id_may(const char *id);
bool sp_gpu_mount_may(const char *host, const char *inside);
bool sp_gpu_env_may(const char *value);

/* Whether a node may be lent at all: the driver's, never modeset, card nodes or anything else. */
bool sp_gpu_node_may(const char *path);
/* One that every process needs, beside the node that picks the GPU. */
bool sp_gpu_node_is_common(const char *path);
/* The major number of a character driver in the text of /proc/devices, or -1. */
int sp_gpu_major(const char *devices, const char *driver);

const char *sp_gpu_kind_to_string(enum sp_gpu_kind kind);
/* A sentence: what this kind of slot promises. */
const char *sp_gpu_kind_promise(enum sp_gpu_kind kind);

#endif
