/*
 * A libnvidia-ml.so.1 for tests: answers by a script, "nvml.script" in the library's own folder.
 * (A variable could not name it: the launcher gives spaces-gpu an environment of its own.) The
 * script is read again whenever GPUs are counted, which begins every reading. Its lines:
 *
 *   gpu MINOR UUID BYTES NAME         a GPU
 *   mig UUID GI CI BYTES NAME         an instance of the GPU before it, which is in MIG mode then
 *   computes PID BYTES                a process on that GPU; "-" for BYTES: not known
 *   draws PID BYTES                   the same in the list of graphics processes
 *   nodes                             GPUs without a node /dev/nvidiaMINOR are not counted
 *   fail CALL CODE | hang CALL | crash CALL | late CALL CODE
 *
 * CALL is init, count, index, uuid, name, minor, memory, processes or mig; "late" fails from the
 * second time on. With -DFAKE_NVML_OLD the library is one of an old driver: no MIG, and lists of
 * processes by their older name only. With -DFAKE_NVML_BROKEN a function that we need is missing.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST 16

struct process {
    unsigned pid;
    unsigned long long bytes;
    unsigned gpu_instance, compute_instance;
};

struct device {
    char uuid[128], name[64];
    unsigned minor, gi, ci, n_migs, n_processes[2];
    unsigned long long bytes;
    struct device *migs[MOST];
    struct process processes[2][MOST]; /* that compute, that draw */
};

struct trouble {
    char call[16];
    char kind; /* 'f'ail, 'h'ang, 'c'rash, 'l'ate */
    int code;
    unsigned times;
};

static struct device *gpus[MOST];
static unsigned n_gpus, n_troubles;
static struct trouble troubles[MOST];

/* --- the script --- */

static char *word(char **rest)
{
    char *one = strsep(rest, " \n");

    return one ? one : (char *)"";
}

static unsigned long long number(char **rest)
{
    const char *text = word(rest);

    return strcmp(text, "-") == 0 ? ~0ull : strtoull(text, NULL, 10);
}

static struct device *new_device(const char *uuid, unsigned long long bytes, const char *name)
{
    struct device *dev = calloc(1, sizeof(*dev));

    if (!dev)
        abort();
    (void)snprintf(dev->uuid, sizeof(dev->uuid), "%s", uuid);
    (void)snprintf(dev->name, sizeof(dev->name), "%.*s", (int)strcspn(name, "\n"), name);
    dev->bytes = bytes;
    return dev;
}

static void read_gpu(char *rest, bool by_node)
{
    unsigned minor = (unsigned)number(&rest);
    const char *uuid = word(&rest);
    unsigned long long bytes = number(&rest);
    char node[32];

    (void)snprintf(node, sizeof(node), "/dev/nvidia%u", minor);
    if (n_gpus == MOST || (by_node && access(node, F_OK) != 0))
        return;
    gpus[n_gpus] = new_device(uuid, bytes, rest ? rest : "");
    gpus[n_gpus++]->minor = minor;
}

static void read_mig(char *rest, struct device *gpu)
{
    const char *uuid = word(&rest);
    unsigned gi = (unsigned)number(&rest), ci = (unsigned)number(&rest);
    unsigned long long bytes = number(&rest);
    struct device *mig = new_device(uuid, bytes, rest ? rest : "");

    mig->gi = gi;
    mig->ci = ci;
    if (gpu->n_migs < MOST)
        gpu->migs[gpu->n_migs++] = mig;
}

static void read_process(char *rest, struct device *gpu, int draws)
{
    unsigned *n = &gpu->n_processes[draws];

    if (*n == MOST)
        return;
    gpu->processes[draws][*n].pid = (unsigned)number(&rest);
    gpu->processes[draws][(*n)++].bytes = number(&rest);
}

static void read_trouble(char kind, char *rest)
{
    struct trouble *one = &troubles[n_troubles];
    unsigned times = one->times; /* of the same line, read before */

    if (n_troubles == MOST)
        return;
    (void)snprintf(one->call, sizeof(one->call), "%s", word(&rest));
    one->kind = kind;
    one->code = (int)number(&rest);
    one->times = times;
    n_troubles++;
}

static void read_line(char *line, bool *by_node)
{
    char *rest = line;
    const char *what = word(&rest);
    struct device *gpu = n_gpus ? gpus[n_gpus - 1] : NULL;

    if (strcmp(what, "nodes") == 0)
        *by_node = true;
    else if (strcmp(what, "gpu") == 0)
        read_gpu(rest, *by_node);
    else if (strcmp(what, "mig") == 0 && gpu)
        read_mig(rest, gpu);
    else if ((strcmp(what, "computes") == 0 || strcmp(what, "draws") == 0) && gpu)
        read_process(rest, gpu, what[0] == 'd');
    else if (strchr("fhcl", what[0]) && what[0])
        read_trouble(what[0], rest);
}

/* What a caller still holds of the reading before stays valid: it is never given back. */
static void read_script(void)
{
    char path[PATH_MAX], line[256];
    bool by_node = false;
    Dl_info self;
    FILE *file;

    n_gpus = n_troubles = 0;
    if (!dladdr((void *)read_script, &self))
        abort();
    (void)snprintf(path, sizeof(path), "%.*snvml.script",
                   (int)(strrchr(self.dli_fname, '/') + 1 - self.dli_fname), self.dli_fname);
    file = fopen(path, "re");
    if (!file)
        abort(); /* a test without a script is a mistake */
    while (fgets(line, sizeof(line), file))
        read_line(line, &by_node);
    (void)fclose(file);
}

static int trouble(const char *call)
{
    for (unsigned i = 0; i < n_troubles; i++) {
        if (strcmp(troubles[i].call, call) != 0)
            continue;
        if (troubles[i].kind == 'h')
            for (;;)
                (void)pause();
        if (troubles[i].kind == 'c')
            abort();
        if (troubles[i].kind == 'f' || troubles[i].times++ > 0)
            return troubles[i].code;
    }
    return 0;
}

/* --- the interface: NVML's names --- */

int nvmlInit_v2(void);
const char *nvmlErrorString(int code);
int nvmlDeviceGetCount_v2(unsigned *ret);
int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct device **ret);
int nvmlDeviceGetUUID(struct device *dev, char *ret, unsigned size);
int nvmlDeviceGetName(struct device *dev, char *ret, unsigned size);
int nvmlDeviceGetMinorNumber(struct device *dev, unsigned *ret);
int nvmlDeviceGetMemoryInfo(struct device *dev, unsigned long long ret[3]);
int nvmlDeviceGetComputeRunningProcesses_v2(struct device *dev, unsigned *n, struct process *ret);
int nvmlDeviceGetComputeRunningProcesses_v3(struct device *dev, unsigned *n, struct process *ret);
int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *dev, unsigned *n, struct process *ret);
int nvmlDeviceGetMigMode(struct device *dev, unsigned *now, unsigned *later);
int nvmlDeviceGetMaxMigDeviceCount(struct device *dev, unsigned *ret);
int nvmlDeviceGetMigDeviceHandleByIndex(struct device *dev, unsigned i, struct device **ret);
int nvmlDeviceGetGpuInstanceId(struct device *dev, unsigned *ret);
int nvmlDeviceGetComputeInstanceId(struct device *dev, unsigned *ret);

#define INVALID_ARGUMENT 2
#define NOT_FOUND        6
#define TOO_SMALL        7

int nvmlInit_v2(void)
{
    read_script();
    return trouble("init");
}

const char *nvmlErrorString(int code)
{
    return code == 3 ? "Not Supported" : code == 15 ? "GPU is lost" : "Unknown Error";
}

int nvmlDeviceGetCount_v2(unsigned *ret)
{
    read_script();
    *ret = n_gpus;
    return trouble("count");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned i, struct device **ret)
{
    if (i >= n_gpus)
        return INVALID_ARGUMENT;
    *ret = gpus[i];
    return trouble("index");
}

static int put_text(const char *text, char *ret, unsigned size)
{
    if (strlen(text) >= size)
        return TOO_SMALL;
    (void)snprintf(ret, size, "%s", text);
    return 0;
}

int nvmlDeviceGetUUID(struct device *dev, char *ret, unsigned size)
{
    int r = trouble("uuid");

    return r ? r : put_text(dev->uuid, ret, size);
}

int nvmlDeviceGetName(struct device *dev, char *ret, unsigned size)
{
    int r = trouble("name");

    return r ? r : put_text(dev->name, ret, size);
}

#ifndef FAKE_NVML_BROKEN
int nvmlDeviceGetMinorNumber(struct device *dev, unsigned *ret)
{
    *ret = dev->minor;
    return trouble("minor");
}
#endif

int nvmlDeviceGetMemoryInfo(struct device *dev, unsigned long long ret[3])
{
    int r = trouble("memory");

    if (r == 0) {
        ret[0] = ret[1] = dev->bytes;
        ret[2] = 0;
    }
    return r;
}

/* Real ones fill what fits and say how many there are. */
static int put_processes(struct device *dev, int draws, unsigned *n, struct process *ret)
{
    unsigned there = dev->n_processes[draws], fits = there < *n ? there : *n;
    int r = trouble("processes");

    if (r)
        return r;
    for (unsigned i = 0; i < fits; i++)
        ret[i] = dev->processes[draws][i];
    *n = there;
    return fits < there ? TOO_SMALL : 0;
}

int nvmlDeviceGetComputeRunningProcesses_v2(struct device *dev, unsigned *n, struct process *ret)
{
    return put_processes(dev, 0, n, ret);
}

#ifndef FAKE_NVML_OLD
int nvmlDeviceGetComputeRunningProcesses_v3(struct device *dev, unsigned *n, struct process *ret)
{
    return put_processes(dev, 0, n, ret);
}

int nvmlDeviceGetGraphicsRunningProcesses_v3(struct device *dev, unsigned *n, struct process *ret)
{
    return put_processes(dev, 1, n, ret);
}

int nvmlDeviceGetMigMode(struct device *dev, unsigned *now, unsigned *later)
{
    *now = *later = dev->n_migs > 0;
    return 0;
}

int nvmlDeviceGetMaxMigDeviceCount(struct device *dev, unsigned *ret)
{
    *ret = dev->n_migs ? 7 : 0;
    return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(struct device *dev, unsigned i, struct device **ret)
{
    int r = trouble("mig");

    if (r || i >= dev->n_migs)
        return r ? r : NOT_FOUND;
    *ret = dev->migs[i];
    return 0;
}

int nvmlDeviceGetGpuInstanceId(struct device *dev, unsigned *ret)
{
    *ret = dev->gi;
    return 0;
}

int nvmlDeviceGetComputeInstanceId(struct device *dev, unsigned *ret)
{
    *ret = dev->ci;
    return 0;
}
#endif
