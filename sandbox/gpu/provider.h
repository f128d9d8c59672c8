/*
 * sandbox/gpu/provider.h - who knows which GPUs there are, and who uses how much of their memory.
 *
 * Runs in spaces-gpu only, never in the launcher: `nvml` calls foreign code (libnvidia-ml.so.1),
 * and all of them read what others wrote. What comes out is checked again by the launcher.
 */
#ifndef SP_SANDBOX_GPU_PROVIDER_H
#define SP_SANDBOX_GPU_PROVIDER_H

#include <stdbool.h>

#include "sandbox/gpu/slot.h"

struct sp_error;

struct sp_gpu_options {
    const char *provider; /* "auto", "none", "nvml", "drm", "fake" */
    const char *shared;   /* ids of GPUs that are lent in shares, divided by commas; or "all" */
    const char *root;     /* in front of /proc, /sys, /dev, /etc, /var; "" but in tests */
    int fake_fd;          /* inventory of the fake provider, read anew each time; or -1 */
};

struct sp_gpu_provider {
    const char *name;
    /* Whether it is worth to try, for "auto". */
    bool (*present)(const struct sp_gpu_options *options);
    /* Fills an initialised list. */
    int (*list)(const struct sp_gpu_options *options, struct sp_gpu_list *ret,
                struct sp_error *err);
    /* After `list`. Processes that hold memory, one entry each and slot. */
    int (*usage)(const struct sp_gpu_options *options, const struct sp_gpu_list *list,
                 struct sp_gpu_usage *ret, struct sp_error *err);
};

extern const struct sp_gpu_provider sp_gpu_nvml, sp_gpu_drm, sp_gpu_fake;

/* The provider that the options name; NULL with a sentence when there is none. */
const struct sp_gpu_provider *sp_gpu_provider_pick(const struct sp_gpu_options *options,
                                                   struct sp_error *err);

/* The provider's list, without the slots that the text form cannot say; a note tells of them. */
int sp_gpu_provider_list(const struct sp_gpu_provider *provider,
                         const struct sp_gpu_options *options, struct sp_gpu_list *ret,
                         struct sp_error *err);

/* List, with what the CDI files add. Never fails: `why` of an empty list says it. */
void sp_gpu_inventory(const struct sp_gpu_options *options, struct sp_gpu_list *ret);

/* What the providers share. */
bool sp_gpu_is_shared(const struct sp_gpu_options *options, const struct sp_gpu_slot *slot);
/* A small file below options->root, terminated; NULL when it cannot be read. */
char *sp_gpu_read(const struct sp_gpu_options *options, const char *path);

#endif
