#include "sandbox/gpu/slot.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void sp_gpu_list_init(struct sp_gpu_list *list)
{
    memset(list, 0, sizeof(*list));
    (void)snprintf(list->provider, sizeof(list->provider), "none");
}

void sp_gpu_list_done(struct sp_gpu_list *list)
{
    free(list->slots);
    free(list->mounts);
    sp_gpu_list_init(list);
}

struct sp_gpu_slot *sp_gpu_list_add(struct sp_gpu_list *list)
{
    if (list->n == SP_GPU_SLOTS_MAX)
        return NULL;
    if (!list->slots)
        list->slots = sp_new0n(struct sp_gpu_slot, SP_GPU_SLOTS_MAX);
    memset(&list->slots[list->n], 0, sizeof(*list->slots));
    return &list->slots[list->n++];
}

struct sp_gpu_slot *sp_gpu_list_find(const struct sp_gpu_list *list, const char *id)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->slots[i].id, id) == 0)
            return &list->slots[i];
    return NULL;
}

void sp_gpu_list_remove(struct sp_gpu_list *list, size_t i)
{
    list->n--;
    memmove(&list->slots[i], &list->slots[i + 1], (list->n - i) * sizeof(*list->slots));
}

void sp_gpu_list_note(struct sp_gpu_list *list, const char *fmt, ...)
{
    size_t len = strlen(list->why);
    va_list args;

    if (len > 0 && len + 3 < sizeof(list->why))
        len += (size_t)snprintf(list->why + len, sizeof(list->why) - len, "; ");
    va_start(args, fmt);
    (void)vsnprintf(list->why + len, sizeof(list->why) - len, fmt, args);
    va_end(args);
}

bool sp_gpu_slot_add_node(struct sp_gpu_slot *slot, const char *path, uint32_t major,
                          uint32_t minor)
{
    struct sp_gpu_node *node = &slot->nodes[slot->n_nodes];

    if (slot->n_nodes == SP_GPU_NODES_MAX || strlen(path) >= sizeof(node->path))
        return false;
    for (size_t i = 0; i < slot->n_nodes; i++)
        if (strcmp(slot->nodes[i].path, path) == 0)
            return false;
    (void)snprintf(node->path, sizeof(node->path), "%s", path);
    node->major = major;
    node->minor = minor;
    slot->n_nodes++;
    return true;
}

bool sp_gpu_slot_add_env(struct sp_gpu_slot *slot, const char *name, const char *value)
{
    size_t len = strlen(name);

    if (slot->n_env == SP_GPU_ENV_MAX || len + strlen(value) + 2 > sizeof(slot->env[0]))
        return false;
    for (size_t i = 0; i < slot->n_env; i++)
        if (strncmp(slot->env[i], name, len) == 0 && slot->env[i][len] == '=')
            return false;
    (void)snprintf(slot->env[slot->n_env++], sizeof(slot->env[0]), "%s=%s", name, value);
    return true;
}

bool sp_gpu_list_add_mount(struct sp_gpu_list *list, const char *host, const char *inside)
{
    struct sp_gpu_mount *mount;

    if (!list->mounts)
        list->mounts = sp_new0n(struct sp_gpu_mount, SP_GPU_MOUNTS_MAX);
    if (list->n_mounts == SP_GPU_MOUNTS_MAX || strlen(host) >= sizeof(mount->host) ||
        strlen(inside) >= sizeof(mount->inside))
        return false;
    for (size_t i = 0; i < list->n_mounts; i++)
        if (strcmp(list->mounts[i].inside, inside) == 0)
            return false;
    mount = &list->mounts[list->n_mounts++];
    (void)snprintf(mount->host, sizeof(mount->host), "%s", host);
    (void)snprintf(mount->inside, sizeof(mount->inside), "%s", inside);
    return true;
}

static bool is_number(const char *text)
{
    return *text && strspn(text, "0123456789") == strlen(text);
}

/* What every process needs beside the node that picks the GPU. */
bool sp_gpu_node_is_common(const char *path)
{
    static const char *const common[] = {"/dev/nvidiactl", "/dev/nvidia-uvm",
                                         "/dev/nvidia-uvm-tools", "/dev/kfd"};

    for (size_t i = 0; i < SP_LEN(common); i++)
        if (strcmp(path, common[i]) == 0)
            return true;
    return false;
}

bool sp_gpu_node_may(const char *path)
{
    static const char *const numbered[] = {"/dev/nvidia", "/dev/nvidia-caps/nvidia-cap",
                                           "/dev/dri/renderD"};

    if (sp_gpu_node_is_common(path))
        return true;
    for (size_t i = 0; i < SP_LEN(numbered); i++)
        if (strncmp(path, numbered[i], strlen(numbered[i])) == 0 &&
            is_number(path + strlen(numbered[i])))
            return true;
    return false;
}

int sp_gpu_major(const char *devices, const char *driver)
{
    struct sp_slice rest = sp_slice_str(devices), line;

    while (sp_slice_split(&rest, '\n', &line)) {
        struct sp_slice number;
        uint64_t major;

        if (sp_slice_starts(line, "Block devices:"))
            break;
        line = sp_slice_trim(line);
        if (sp_slice_split(&line, ' ', &number) && sp_parse_u64(number, 4095, &major) &&
            sp_slice_eq_str(sp_slice_trim(line), driver))
            return (int)major;
    }
    return -1;
}

const char *sp_gpu_kind_to_string(enum sp_gpu_kind kind)
{
    switch (kind) {
    case SP_GPU_WHOLE: return "whole";
    case SP_GPU_MIG: return "mig";
    case SP_GPU_SHARED: return "shared";
    }
    return "unknown";
}

const char *sp_gpu_kind_promise(enum sp_gpu_kind kind)
{
    switch (kind) {
    case SP_GPU_WHOLE: return "a whole GPU: nobody else can use it meanwhile (hard limit)";
    case SP_GPU_MIG:
        return "a MIG instance: its cores and memory are set apart by the GPU (hard limit)";
    case SP_GPU_SHARED:
        return "a share of a GPU's memory: others run on it too, memory is watched and an app "
               "above its share is ended (cooperative, no hard limit)";
    }
    return "";
}
