/*
 * sandbox/gpu/fdinfo.h - what /proc/PID/fdinfo/N says of a DRM client (drm-usage-stats of the
 * kernel's documentation). Pure; the text is the kernel's, but the numbers are an app's.
 */
#ifndef SP_SANDBOX_GPU_FDINFO_H
#define SP_SANDBOX_GPU_FDINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct sp_fdinfo {
    char pdev[32];       /* PCI address: "0000:03:00.0" */
    uint64_t client;     /* two descriptors of one client count once */
    uint64_t vram_bytes; /* resident in the GPU's own memory */
};

/* False when the text is not that of a DRM client of a PCI device. */
bool sp_fdinfo_parse(struct sp_slice text, struct sp_fdinfo *ret);

#endif
