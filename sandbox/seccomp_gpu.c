/*
 * What the filter of a sandbox with GPU slots allows beyond the table: the ioctl requests of its
 * driver, and no other call. The device filter and /dev say which nodes they can be made on.
 */
#include "sandbox/seccomp.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define OF_TYPE      0xff00ull     /* the driver's letter in a request */
#define OF_TYPE_DIR  0xc000ff00ull /* and whether it reads, writes or both */
#define UVM_UP_TO(n) (0xffffffffull & ~((n)-1ull))

#define IOCTL(families, bits, is, why)                                                             \
    {                                                                                              \
        (families),                                                                                \
        {                                                                                          \
            "ioctl", (why), SP_SECCOMP_ARG_MASKED, 1, (is), (bits)                                 \
        }                                                                                          \
    }

/* One request a line reads as a table. */
/* clang-format off */
const struct sp_seccomp_gpu_rule sp_seccomp_gpu_rules[] = {
    IOCTL(SP_SECCOMP_NVIDIA, OF_TYPE, 'F' << 8, "nvidiactl, nvidiaN, nvidia-caps"),
    /* nvidia-uvm has plain numbers: 0-0x3f, 0x40-0x4f, and two that open and close it */
    IOCTL(SP_SECCOMP_NVIDIA, UVM_UP_TO(0x40), 0, "nvidia-uvm"),
    IOCTL(SP_SECCOMP_NVIDIA, UVM_UP_TO(0x10), 0x40, "nvidia-uvm"),
    IOCTL(SP_SECCOMP_NVIDIA, 0xffffffffull, 0x30000001, "nvidia-uvm: initialize"),
    IOCTL(SP_SECCOMP_NVIDIA, 0xffffffffull, 0x30000002, "nvidia-uvm: deinitialize"),
    IOCTL(SP_SECCOMP_DRM, OF_TYPE, 'd' << 8, "render nodes"),
    /* without a direction the same letter is the console's: keymaps, fonts */
    IOCTL(SP_SECCOMP_KFD, OF_TYPE_DIR, 0x80000000 | 'K' << 8, "kfd, reads"),
    IOCTL(SP_SECCOMP_KFD, OF_TYPE_DIR, 0x40000000 | 'K' << 8, "kfd, writes"),
    IOCTL(SP_SECCOMP_KFD, OF_TYPE_DIR, 0xc0000000 | 'K' << 8, "kfd, both"),
};
/* clang-format on */
const size_t sp_seccomp_n_gpu_rules = SP_LEN(sp_seccomp_gpu_rules);

unsigned sp_seccomp_gpu_of_node(const char *path)
{
    struct sp_slice node = sp_slice_str(path);

    if (sp_slice_starts(node, "/dev/nvidia"))
        return SP_SECCOMP_NVIDIA;
    if (sp_slice_starts(node, "/dev/dri/"))
        return SP_SECCOMP_DRM;
    if (strcmp(path, "/dev/kfd") == 0)
        return SP_SECCOMP_KFD;
    return sp_slice_starts(node, "/dev/fake-gpu") ? SP_SECCOMP_NVIDIA : 0;
}
