/*
 * GPUs by their DRM render nodes, without any library: AMD and Intel. Inventory from
 * /sys/class/drm, use from /proc/PID/fdinfo. Card nodes, which can set screens, are never lent.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/gpu/fdinfo.h"
#include "sandbox/gpu/provider.h"

#define CLIENTS_MAX 4096 /* of one reading */
#define FDINFO_MAX  8192

/* NVIDIA's driver also makes render nodes, but counts nothing there: nvml's business. */
static const char nvidia[] = "0x10de";

static DIR *open_folder(const struct sp_gpu_options *options, const char *path)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s%s", options->root, path);

    return opendir(full);
}

static void close_folder(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}
#define AUTO_DIR __attribute__((cleanup(close_folder)))

/* /sys/class/drm/<node>/<file> without the line's end; NULL when it is not there. */
static char *read_sys(const struct sp_gpu_options *options, const char *node, const char *file)
{
    SP_AUTO_FREE char *path = sp_asprintf("/sys/class/drm/%s/%s", node, file);
    char *text = sp_gpu_read(options, path);

    if (text)
        text[strcspn(text, "\n")] = '\0';
    return text;
}

/* The address in "PCI_SLOT_NAME=0000:03:00.0" of the uevent file. */
static bool read_address(const struct sp_gpu_options *options, const char *node, char *ret,
                         size_t size)
{
    SP_AUTO_FREE char *path = sp_asprintf("/sys/class/drm/%s/device/uevent", node);
    SP_AUTO_FREE char *text = sp_gpu_read(options, path);
    const char *at = text ? strstr(text, "PCI_SLOT_NAME=") : NULL;
    size_t len;

    if (!at)
        return false;
    at += strlen("PCI_SLOT_NAME=");
    len = strcspn(at, "\n");
    return len > 0 && len < size && snprintf(ret, size, "%.*s", (int)len, at) > 0;
}

static const char *vendor_name(const char *vendor)
{
    return strcmp(vendor, "0x1002") == 0 ? "AMD" : strcmp(vendor, "0x8086") == 0 ? "Intel" : vendor;
}

static void add_kfd(const struct sp_gpu_options *options, struct sp_gpu_slot *slot)
{
    SP_AUTO_FREE char *devices = sp_gpu_read(options, "/proc/devices");
    int major = devices ? sp_gpu_major(devices, "kfd") : -1;

    /* One node for all GPUs; which of them it opens is decided by the render node. */
    if (major >= 0)
        (void)sp_gpu_slot_add_node(slot, "/dev/kfd", (uint32_t)major, 0);
}

static void add_slot(const struct sp_gpu_options *options, const char *node,
                     struct sp_gpu_list *ret)
{
    SP_AUTO_FREE char *vendor = read_sys(options, node, "device/vendor");
    SP_AUTO_FREE char *dev = read_sys(options, node, "dev");
    SP_AUTO_FREE char *vram = read_sys(options, node, "device/mem_info_vram_total");
    struct sp_gpu_slot *slot;
    struct sp_slice rest = sp_slice_str(dev), first;
    uint64_t major, minor;
    char address[32], path[64];

    if (!vendor || !dev || strcmp(vendor, nvidia) == 0 || strlen(node) > 32 ||
        !sp_slice_split(&rest, ':', &first) || !sp_parse_u64(first, 4095, &major) ||
        !sp_parse_u64(rest, 1048575, &minor) ||
        !read_address(options, node, address, sizeof(address)))
        return;
    slot = sp_gpu_list_add(ret);
    if (!slot)
        return;
    (void)snprintf(slot->id, sizeof(slot->id), "pci-%s", address);
    (void)snprintf(slot->uuid, sizeof(slot->uuid), "%s", address);
    (void)snprintf(slot->model, sizeof(slot->model), "%.16s GPU", vendor_name(vendor));
    if (vram)
        (void)sp_parse_u64(sp_slice_str(vram), UINT64_MAX, &slot->memory_bytes);
    slot->kind = SP_GPU_WHOLE;
    if (sp_gpu_is_shared(options, slot) && slot->memory_bytes > 0)
        slot->kind = SP_GPU_SHARED;
    (void)snprintf(path, sizeof(path), "/dev/dri/%.32s", node);
    (void)sp_gpu_slot_add_node(slot, path, (uint32_t)major, (uint32_t)minor);
    if (strcmp(vendor, "0x1002") == 0)
        add_kfd(options, slot);
}

static bool present(const struct sp_gpu_options *options)
{
    AUTO_DIR DIR *dir = open_folder(options, "/sys/class/drm");
    const struct dirent *entry;

    while (dir && (entry = readdir(dir)))
        if (strncmp(entry->d_name, "renderD", 7) == 0)
            return true;
    return false;
}

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct sp_gpu_slot *)a)->id, ((const struct sp_gpu_slot *)b)->id);
}

static int list(const struct sp_gpu_options *options, struct sp_gpu_list *ret, struct sp_error *err)
{
    AUTO_DIR DIR *dir = open_folder(options, "/sys/class/drm");
    const struct dirent *entry;

    if (!dir)
        return sp_error_set(err, SP_ERR_NOT_FOUND, -errno, "open /sys/class/drm");
    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, "renderD", 7) == 0)
            add_slot(options, entry->d_name, ret);
    if (ret->n > 1)
        qsort(ret->slots, ret->n, sizeof(*ret->slots), by_id);
    return 0;
}

/* --- use --- */

struct reading {
    const struct sp_gpu_list *list;
    struct sp_gpu_usage *usage;
    size_t n;
    struct {
        const struct sp_gpu_slot *slot;
        uint64_t client;
    } clients[CLIENTS_MAX];
};

static const struct sp_gpu_slot *slot_of(const struct sp_gpu_list *list, const char *pdev)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->slots[i].uuid, pdev) == 0)
            return &list->slots[i];
    return NULL;
}

static bool is_new(struct reading *reading, const struct sp_gpu_slot *slot, uint64_t client)
{
    for (size_t i = 0; i < reading->n; i++)
        if (reading->clients[i].slot == slot && reading->clients[i].client == client)
            return false;
    if (reading->n == CLIENTS_MAX)
        return false;
    reading->clients[reading->n].slot = slot;
    reading->clients[reading->n++].client = client;
    return true;
}

static void count(struct reading *reading, int pid, const struct sp_fdinfo *info)
{
    const struct sp_gpu_slot *slot = slot_of(reading->list, info->pdev);
    struct sp_gpu_usage *usage = reading->usage;
    size_t i = 0;

    if (!slot || !is_new(reading, slot, info->client))
        return;
    while (i < usage->n &&
           (usage->uses[i].pid != pid || strcmp(usage->uses[i].slot, slot->id) != 0))
        i++;
    if (i == SP_GPU_USAGE_MAX)
        return;
    if (i == usage->n) {
        usage->uses[i].pid = pid;
        (void)snprintf(usage->uses[i].slot, sizeof(usage->uses[i].slot), "%s", slot->id);
        usage->uses[i].bytes = 0;
        usage->n++;
    }
    if (info->vram_bytes > UINT64_MAX - usage->uses[i].bytes)
        usage->uses[i].bytes = UINT64_MAX;
    else
        usage->uses[i].bytes += info->vram_bytes;
}

/* A process that ends meanwhile, or that we may not look into, counts nothing. */
static void read_process(const struct sp_gpu_options *options, struct reading *reading, int pid)
{
    char path[64];
    AUTO_DIR DIR *dir = NULL;
    const struct dirent *entry;

    (void)snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
    dir = open_folder(options, path);
    while (dir && (entry = readdir(dir))) {
        SP_AUTO_FREE char *text = NULL;
        struct sp_fdinfo info;
        size_t len;

        if (entry->d_name[0] != '.' &&
            sp_file_read(dirfd(dir), entry->d_name, FDINFO_MAX, &text, &len, NULL) == 0 &&
            sp_fdinfo_parse(sp_slice(text, len), &info))
            count(reading, pid, &info);
    }
}

static int usage(const struct sp_gpu_options *options, const struct sp_gpu_list *slots,
                 struct sp_gpu_usage *ret, struct sp_error *err)
{
    SP_AUTO_FREE struct reading *reading = sp_new0(struct reading);
    AUTO_DIR DIR *proc = open_folder(options, "/proc");
    const struct dirent *entry;
    uint64_t pid;

    ret->n = 0;
    if (!proc)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open /proc");
    reading->list = slots;
    reading->usage = ret;
    while ((entry = readdir(proc)))
        if (sp_parse_u64(sp_slice_str(entry->d_name), INT32_MAX, &pid) && pid > 0)
            read_process(options, reading, (int)pid);
    return 0;
}

const struct sp_gpu_provider sp_gpu_drm = {"drm", present, list, usage};
