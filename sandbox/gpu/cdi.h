/*
 * sandbox/gpu/cdi.h - Container Device Interface files: what a vendor says a container needs for a
 * device. Read: deviceNodes, mounts and env of containerEdits, of the file and of the device.
 * Left out: hooks (programs that a root would run), and every node that shows more than the GPU.
 */
#ifndef SP_SANDBOX_GPU_CDI_H
#define SP_SANDBOX_GPU_CDI_H

#include <stdbool.h>

#include "sandbox/gpu/slot.h"

struct sp_error;
struct sp_gpu_options;

/*
 * Adds to `slot` and `list` what one file says about the device "vendor/class=name". 1 when the
 * file has it, 0 when not, SP_ERR_INVALID when it is no CDI file. Missing numbers of nodes are
 * asked of the host below options->root; nodes that are not there are left out.
 */
int sp_cdi_read(struct sp_slice text, const char *device, const struct sp_gpu_options *options,
                struct sp_gpu_list *list, struct sp_gpu_slot *slot, struct sp_error *err);

/* All files of /etc/cdi and /var/run/cdi for all slots; what cannot be read becomes a note. */
void sp_cdi_apply(const struct sp_gpu_options *options, struct sp_gpu_list *list);

#endif
