/* What may be lent: a driver's own devices and files, whatever the list says. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/launcher/gpus.h"

#define NVIDIA_MAJOR 195
#define DRM_MAJOR    226
#define FAKE_PREFIX  "/dev/fake-gpu"

static int open_plain(const char *path, int flags)
{
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
                           .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};

    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

/* proc files have no size: read until the end. */
static char *read_devices(void)
{
    SP_AUTO_BUF struct sp_buf text;
    SP_AUTO_FD int fd = open("/proc/devices", O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    sp_buf_init(&text, 65536);
    while (n > 0) {
        char *to = sp_buf_reserve(&text, 4096);

        n = to ? read(fd, to, 4096) : 0;
        text.len += n > 0 ? (size_t)n : 0;
    }
    return sp_buf_steal(&text, NULL);
}

/* The number behind the last letter of a name that sp_gpu_node_may knows. */
static unsigned long number_of(const char *path)
{
    const char *end = path + strlen(path);

    while (end > path && end[-1] >= '0' && end[-1] <= '9')
        end--;
    return strtoul(end, NULL, 10);
}

/* Name and number belong together; the majors that the kernel chose are in /proc/devices. */
static bool is_drivers(const struct sp_gpu_node *node, const char *devices)
{
    const char *name = node->path + strlen("/dev/");

    if (!sp_gpu_node_may(node->path))
        return false;
    if (strcmp(name, "nvidiactl") == 0)
        return node->major == NVIDIA_MAJOR && node->minor == 255;
    if (strncmp(name, "nvidia-uvm", 10) == 0)
        return (int)node->major == sp_gpu_major(devices, "nvidia-uvm") && node->minor <= 1;
    if (strncmp(name, "nvidia-caps/", 12) == 0)
        return (int)node->major == sp_gpu_major(devices, "nvidia-caps") &&
               node->minor == number_of(name);
    if (strncmp(name, "nvidia", 6) == 0)
        return node->major == NVIDIA_MAJOR && node->minor == number_of(name) && node->minor < 255;
    if (strcmp(name, "kfd") == 0)
        return (int)node->major == sp_gpu_major(devices, "kfd") && node->minor == 0;
    return node->major == DRM_MAJOR && node->minor == number_of(name) && node->minor >= 128;
}

static bool is_there(const struct sp_gpu_node *node)
{
    SP_AUTO_FD int fd = open_plain(node->path, O_PATH);
    struct stat st;

    return fd >= 0 && fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(node->major, node->minor);
}

/* null, zero, full, random, urandom under another name: every sandbox has them anyway. */
static bool is_stand_in(const struct sp_gpu_node *node)
{
    const char *name = node->path + strlen(FAKE_PREFIX);

    return strncmp(node->path, FAKE_PREFIX, strlen(FAKE_PREFIX)) == 0 && !strchr(name, '/') &&
           node->major == 1 &&
           (node->minor == 3 || node->minor == 5 || (node->minor >= 7 && node->minor <= 9));
}

static const char *refuse_node(const struct sp_gpu_node *node, const char *devices, bool is_fake)
{
    if (is_fake && is_stand_in(node))
        return NULL;
    if (!is_drivers(node, devices))
        return "is not a GPU driver's";
    return is_fake || is_there(node) ? NULL : "is not there, or is another device";
}

/* A whole GPU's node in a second slot would make two tenants of one. */
static bool is_double(const struct sp_gpu_list *list, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        const struct sp_gpu_slot *a = &list->slots[k], *b = &list->slots[i];

        if (a->kind != SP_GPU_WHOLE && b->kind != SP_GPU_WHOLE)
            continue;
        for (size_t x = 0; x < a->n_nodes; x++)
            for (size_t y = 0; y < b->n_nodes; y++)
                if (strcmp(a->nodes[x].path, b->nodes[y].path) == 0 &&
                    !sp_gpu_node_is_common(a->nodes[x].path))
                    return true;
    }
    return false;
}

/* Nodes that are merely not there (an unused driver's) are left out; others cost the slot. */
static bool check_slot(struct sp_gpu_list *list, size_t i, const char *devices)
{
    struct sp_gpu_slot *slot = &list->slots[i];
    bool is_fake = strcmp(list->provider, "fake") == 0;

    if (slot->n_nodes == 0 || (slot->kind == SP_GPU_SHARED && slot->memory_bytes == 0)) {
        sp_gpu_list_note(list, "slot %.79s has no device or no size", slot->id);
        return false;
    }
    for (size_t k = 0; k < slot->n_nodes; k++) {
        const char *why = refuse_node(&slot->nodes[k], devices, is_fake);

        if (!why)
            continue;
        sp_gpu_list_note(list, "slot %.79s: %s %s", slot->id, slot->nodes[k].path, why);
        return false;
    }
    if (is_double(list, i)) {
        sp_gpu_list_note(list, "slot %.79s has a whole slot's device", slot->id);
        return false;
    }
    return true;
}

void sp_gpus_check(struct sp_gpu_list *list)
{
    SP_AUTO_FREE char *devices = read_devices();

    for (size_t i = 0; i < list->n;)
        if (check_slot(list, i, devices))
            i++;
        else
            sp_gpu_list_remove(list, i);
}

int sp_gpus_open_file(const char *path, int *ret_fd, struct sp_error *err)
{
    SP_AUTO_FD int fd = open_plain(path, O_PATH);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "open '%.150s' without links", path);
    /* What everyone on the host may read, and only root may write. */
    if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & 022) || !(st.st_mode & 004))
        return sp_error_set(err, SP_ERR_DENIED, 0,
                            "'%.150s' is not a file of root's that all may read", path);
    *ret_fd = SP_TAKE_FD(fd);
    return 0;
}
