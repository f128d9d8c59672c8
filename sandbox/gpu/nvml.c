/*
 * NVIDIA GPUs by libnvidia-ml.so.1, which is opened at run time: it comes with the driver. The
 * declarations below are the few of its interface that we call, written down from its
 * documentation. The library stays open and initialised for the life of spaces-gpu.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "sandbox/gpu/provider.h"

#define GPUS_MAX      64
#define MIGS_MAX      16
#define PROCESSES_MAX 512
#define TOO_SMALL     7   /* NVML_ERROR_INSUFFICIENT_SIZE */
#define NVIDIA_MAJOR  195 /* fixed; the other drivers' numbers are in /proc/devices */

struct memory {
    unsigned long long total, free, used;
};

struct process {
    unsigned pid;
    unsigned long long bytes; /* all ones: not known */
    unsigned gpu_instance, compute_instance;
};

typedef void *device;

static struct {
    void *lib;
    int (*init)(void);
    const char *(*error)(int);
    int (*count)(unsigned *);
    int (*by_index)(unsigned, device *);
    int (*uuid)(device, char *, unsigned);
    int (*name)(device, char *, unsigned);
    int (*minor)(device, unsigned *);
    int (*memory)(device, struct memory *);
    int (*compute)(device, unsigned *, struct process *);
    int (*graphics)(device, unsigned *, struct process *); /* from here on: may be absent */
    int (*mig_mode)(device, unsigned *, unsigned *);
    int (*mig_max)(device, unsigned *);
    int (*mig_by_index)(device, unsigned, device *);
    int (*gpu_instance)(device, unsigned *);
    int (*compute_instance)(device, unsigned *);
} nvml;

static const struct {
    const char *name, *older; /* the same structures by an older name */
    void **to;
    bool required;
} symbols[] = {
    {"nvmlInit_v2", NULL, (void **)&nvml.init, true},
    {"nvmlErrorString", NULL, (void **)&nvml.error, true},
    {"nvmlDeviceGetCount_v2", NULL, (void **)&nvml.count, true},
    {"nvmlDeviceGetHandleByIndex_v2", NULL, (void **)&nvml.by_index, true},
    {"nvmlDeviceGetUUID", NULL, (void **)&nvml.uuid, true},
    {"nvmlDeviceGetName", NULL, (void **)&nvml.name, true},
    {"nvmlDeviceGetMinorNumber", NULL, (void **)&nvml.minor, true},
    {"nvmlDeviceGetMemoryInfo", NULL, (void **)&nvml.memory, true},
    {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2",
     (void **)&nvml.compute, true},
    {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2",
     (void **)&nvml.graphics, false},
    {"nvmlDeviceGetMigMode", NULL, (void **)&nvml.mig_mode, false},
    {"nvmlDeviceGetMaxMigDeviceCount", NULL, (void **)&nvml.mig_max, false},
    {"nvmlDeviceGetMigDeviceHandleByIndex", NULL, (void **)&nvml.mig_by_index, false},
    {"nvmlDeviceGetGpuInstanceId", NULL, (void **)&nvml.gpu_instance, false},
    {"nvmlDeviceGetComputeInstanceId", NULL, (void **)&nvml.compute_instance, false},
};

static int open_library(struct sp_error *err)
{
    int r;

    if (nvml.lib)
        return 0;
    nvml.lib = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!nvml.lib)
        return sp_error_set(err, SP_ERR_NOT_FOUND, 0, "%.200s", dlerror());
    for (size_t i = 0; i < SP_LEN(symbols); i++) {
        *symbols[i].to = dlsym(nvml.lib, symbols[i].name);
        if (!*symbols[i].to && symbols[i].older)
            *symbols[i].to = dlsym(nvml.lib, symbols[i].older);
        if (!*symbols[i].to && symbols[i].required)
            return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                                "libnvidia-ml.so.1 has no %s: the driver is too old",
                                symbols[i].name);
    }
    r = nvml.init();
    return r ? sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "start NVML: %.200s", nvml.error(r)) : 0;
}

/* --- inventory --- */

struct host {
    char *devices, *caps; /* /proc/devices, mig-minors */
    int uvm, caps_major;
};

/* What each CUDA process opens beside the GPU's own node. */
static void add_common(const struct host *host, struct sp_gpu_slot *slot, unsigned minor)
{
    char path[32];

    (void)snprintf(path, sizeof(path), "/dev/nvidia%u", minor);
    (void)sp_gpu_slot_add_node(slot, path, NVIDIA_MAJOR, minor);
    (void)sp_gpu_slot_add_node(slot, "/dev/nvidiactl", NVIDIA_MAJOR, 255);
    if (host->uvm >= 0) {
        (void)sp_gpu_slot_add_node(slot, "/dev/nvidia-uvm", (uint32_t)host->uvm, 0);
        (void)sp_gpu_slot_add_node(slot, "/dev/nvidia-uvm-tools", (uint32_t)host->uvm, 1);
    }
    (void)sp_gpu_slot_add_env(slot, "CUDA_VISIBLE_DEVICES", slot->uuid);
}

static bool describe(device dev, struct sp_gpu_slot *slot)
{
    struct memory memory = {0};

    if (nvml.uuid(dev, slot->uuid, sizeof(slot->uuid)) ||
        nvml.name(dev, slot->model, sizeof(slot->model)))
        return false;
    slot->uuid[sizeof(slot->uuid) - 1] = slot->model[sizeof(slot->model) - 1] = '\0';
    (void)snprintf(slot->id, sizeof(slot->id), "%s", slot->uuid);
    if (nvml.memory(dev, &memory) == 0)
        slot->memory_bytes = memory.total;
    return slot->uuid[0] != '\0';
}

/* The line "gpu0/gi1/ci0/access 13" of mig-minors. */
static bool add_cap(const struct host *host, struct sp_gpu_slot *slot, const char *name)
{
    struct sp_slice rest = sp_slice_str(host->caps), line, key;
    char path[64];
    uint64_t minor;

    while (host->caps && sp_slice_split(&rest, '\n', &line)) {
        if (!sp_slice_split(&line, ' ', &key) || !sp_slice_eq_str(key, name) ||
            !sp_parse_u64(sp_slice_trim(line), 1048575, &minor))
            continue;
        (void)snprintf(path, sizeof(path), "/dev/nvidia-caps/nvidia-cap%u", (unsigned)minor);
        return sp_gpu_slot_add_node(slot, path, (uint32_t)host->caps_major, (uint32_t)minor);
    }
    return false;
}

static void add_mig(const struct host *host, device dev, unsigned gpu_minor, unsigned gpu,
                    unsigned index, struct sp_gpu_list *ret)
{
    struct sp_gpu_slot slot = {.kind = SP_GPU_MIG};
    unsigned gi = 0, ci = 0;
    struct sp_gpu_slot *to;
    char name[64];

    if (!describe(dev, &slot) || !nvml.gpu_instance || !nvml.compute_instance ||
        nvml.gpu_instance(dev, &gi) || nvml.compute_instance(dev, &ci))
        return;
    add_common(host, &slot, gpu_minor);
    (void)snprintf(name, sizeof(name), "gpu%u/gi%u/access", gpu_minor, gi);
    if (host->caps_major < 0 || !add_cap(host, &slot, name)) {
        sp_gpu_list_note(ret, "%s has no capability device (%s)", slot.id, name);
        return;
    }
    (void)snprintf(name, sizeof(name), "gpu%u/gi%u/ci%u/access", gpu_minor, gi, ci);
    if (!add_cap(host, &slot, name)) {
        sp_gpu_list_note(ret, "%s has no capability device (%s)", slot.id, name);
        return;
    }
    (void)snprintf(slot.cdi[0], sizeof(slot.cdi[0]), "nvidia.com/gpu=%.70s", slot.uuid);
    (void)snprintf(slot.cdi[1], sizeof(slot.cdi[1]), "nvidia.com/gpu=%u:%u", gpu, index);
    slot.n_cdi = 2;
    to = sp_gpu_list_add(ret);
    if (to)
        *to = slot;
}

static bool has_mig(device dev)
{
    unsigned now = 0, later = 0;

    return nvml.mig_mode && nvml.mig_max && nvml.mig_by_index &&
           nvml.mig_mode(dev, &now, &later) == 0 && now == 1;
}

static void add_migs(const struct host *host, device dev, unsigned minor, unsigned gpu,
                     struct sp_gpu_list *ret)
{
    unsigned most = 0;
    device mig;

    if (nvml.mig_max(dev, &most))
        return;
    for (unsigned i = 0; i < most && i < MIGS_MAX; i++)
        if (nvml.mig_by_index(dev, i, &mig) == 0)
            add_mig(host, mig, minor, gpu, i, ret);
}

/* Shares are worth what is watched of them: a GPU that does not tell is lent as a whole. */
static bool can_share(device dev, const struct sp_gpu_slot *slot, struct sp_gpu_list *ret)
{
    static struct process processes[PROCESSES_MAX];
    unsigned n = PROCESSES_MAX;
    int r = nvml.compute(dev, &n, processes);

    if (slot->memory_bytes > 0 && (r == 0 || r == TOO_SMALL))
        return true;
    sp_gpu_list_note(ret, "%s cannot be shared, it does not tell its memory: %s", slot->id,
                     r ? nvml.error(r) : "no size");
    return false;
}

static void add_gpu(const struct sp_gpu_options *options, const struct host *host, unsigned gpu,
                    struct sp_gpu_list *ret)
{
    struct sp_gpu_slot slot = {.kind = SP_GPU_WHOLE};
    struct sp_gpu_slot *to;
    unsigned minor = 0;
    device dev;
    int r = nvml.by_index(gpu, &dev);

    if (r || (r = nvml.minor(dev, &minor)) != 0) {
        sp_gpu_list_note(ret, "GPU %u: %s", gpu, nvml.error(r));
        return;
    }
    if (has_mig(dev)) {
        add_migs(host, dev, minor, gpu, ret);
        return;
    }
    if (!describe(dev, &slot)) {
        sp_gpu_list_note(ret, "GPU %u does not say its UUID and name", gpu);
        return;
    }
    if (sp_gpu_is_shared(options, &slot) && can_share(dev, &slot, ret))
        slot.kind = SP_GPU_SHARED;
    add_common(host, &slot, minor);
    (void)snprintf(slot.cdi[0], sizeof(slot.cdi[0]), "nvidia.com/gpu=%.70s", slot.uuid);
    (void)snprintf(slot.cdi[1], sizeof(slot.cdi[1]), "nvidia.com/gpu=%u", gpu);
    slot.n_cdi = 2;
    to = sp_gpu_list_add(ret);
    if (to)
        *to = slot;
}

static bool present(const struct sp_gpu_options *options)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/proc/driver/nvidia", options->root);

    return access(path, F_OK) == 0;
}

static int list(const struct sp_gpu_options *options, struct sp_gpu_list *ret, struct sp_error *err)
{
    SP_AUTO_FREE char *devices = sp_gpu_read(options, "/proc/devices");
    SP_AUTO_FREE char *caps = sp_gpu_read(options, "/proc/driver/nvidia-caps/mig-minors");
    struct host host = {devices, caps, -1, -1};
    unsigned n = 0;
    int r = open_library(err);

    if (r < 0)
        return r;
    if (devices) {
        host.uvm = sp_gpu_major(devices, "nvidia-uvm");
        host.caps_major = sp_gpu_major(devices, "nvidia-caps");
    }
    if (host.uvm < 0)
        sp_gpu_list_note(ret, "nvidia-uvm is not loaded (modprobe nvidia-uvm): CUDA needs it");
    r = nvml.count(&n);
    if (r)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "count GPUs: %.200s", nvml.error(r));
    for (unsigned i = 0; i < n && i < GPUS_MAX; i++)
        add_gpu(options, &host, i, ret);
    return 0;
}

/* --- use --- */

static struct sp_gpu_use *find(struct sp_gpu_usage *usage, int pid, const char *slot)
{
    struct sp_gpu_use *use;

    for (size_t i = 0; i < usage->n; i++)
        if (usage->uses[i].pid == pid && strcmp(usage->uses[i].slot, slot) == 0)
            return &usage->uses[i];
    if (usage->n == SP_GPU_USAGE_MAX)
        return NULL;
    use = &usage->uses[usage->n++];
    use->pid = pid;
    use->bytes = 0;
    (void)snprintf(use->slot, sizeof(use->slot), "%s", slot);
    return use;
}

/* A process that computes and draws is in both lists with one number: the larger counts, once. */
static int read_processes(int (*get)(device, unsigned *, struct process *), device dev,
                          const char *slot, struct sp_gpu_usage *ret)
{
    static struct process processes[PROCESSES_MAX];
    unsigned n = PROCESSES_MAX;
    int r = get ? get(dev, &n, processes) : 0;

    if (!get || (r && r != TOO_SMALL))
        return r;
    for (unsigned i = 0; i < n && i < PROCESSES_MAX; i++) {
        struct sp_gpu_use *use;

        if (processes[i].pid == 0 || processes[i].pid > INT32_MAX || processes[i].bytes == ~0ull)
            continue;
        use = find(ret, (int)processes[i].pid, slot);
        if (use && processes[i].bytes > use->bytes)
            use->bytes = processes[i].bytes;
    }
    return 0;
}

/*
 * Shared and whole slots: a MIG instance is limited by the GPU itself. One that was to be shared
 * and does not tell fails the reading, so that it is not taken for one that nobody uses.
 */
static int usage(const struct sp_gpu_options *options, const struct sp_gpu_list *slots,
                 struct sp_gpu_usage *ret, struct sp_error *err)
{
    unsigned n = 0;
    int r = nvml.lib ? nvml.count(&n) : 1;

    ret->n = 0;
    if (r)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "NVML does not answer");
    for (unsigned i = 0; i < n && i < GPUS_MAX; i++) {
        const struct sp_gpu_slot *slot;
        char uuid[80] = "";
        device dev;

        if (nvml.by_index(i, &dev) || nvml.uuid(dev, uuid, sizeof(uuid)) ||
            !(slot = sp_gpu_list_find(slots, uuid)))
            continue;
        r = read_processes(nvml.compute, dev, uuid, ret);
        if (r == 0)
            (void)read_processes(nvml.graphics, dev, uuid, ret);
        if (r && sp_gpu_is_shared(options, slot))
            return sp_error_set(err, SP_ERR_UNAVAILABLE, 0, "list processes: %.200s",
                                nvml.error(r));
    }
    return 0;
}

const struct sp_gpu_provider sp_gpu_nvml = {"nvml", present, list, usage};
