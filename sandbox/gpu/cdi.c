#include "sandbox/gpu/cdi.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "sandbox/gpu/provider.h"

#define FILES_MAX 32 /* of one folder */
#define ITEMS_MAX 512

static const char *const folders[] = {"/var/run/cdi", "/etc/cdi"};

static void add_node(const json_t *item, const struct sp_gpu_options *options,
                     struct sp_gpu_slot *slot)
{
    const char *path = "", *host = NULL;
    SP_AUTO_FREE char *full = NULL;
    struct stat st;

    if (!json_is_object(item) || sp_json_get_str(item, "path", &path, NULL) < 0 ||
        sp_json_get_str(item, "hostPath", &host, NULL) < 0)
        return;
    /* Which GPU and which instance is the provider's word: a file may list all of them. */
    if (!sp_gpu_node_is_common(path) || (host && strcmp(host, path) != 0))
        return;
    full = sp_asprintf("%s%s", options->root, path);
    if (lstat(full, &st) == 0 && S_ISCHR(st.st_mode))
        (void)sp_gpu_slot_add_node(slot, path, major(st.st_rdev), minor(st.st_rdev));
}

static void add_mount(const json_t *item, struct sp_gpu_list *list)
{
    const char *host = "", *inside = "";

    if (json_is_object(item) && sp_json_get_str(item, "hostPath", &host, NULL) == 0 &&
        sp_json_get_str(item, "containerPath", &inside, NULL) == 0 &&
        sp_gpu_mount_may(host, inside))
        (void)sp_gpu_list_add_mount(list, host, inside);
}

/* LD_PRELOAD and its kin would run code of the file's writer in every app. */
static void add_env(const json_t *item, struct sp_gpu_slot *slot)
{
    const char *text = json_string_value(item), *equals = text ? strchr(text, '=') : NULL;
    char name[64];

    if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name) ||
        strncmp(text, "LD_", 3) == 0 || !sp_gpu_env_may(text) || strncmp(text, "PATH=", 5) == 0)
        return;
    (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    /* As strict as the text form that the launcher reads. */
    if ((name[0] < '0' || name[0] > '9') &&
        strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == strlen(name))
        (void)sp_gpu_slot_add_env(slot, name, equals + 1);
}

static int add_edits(const json_t *owner, const struct sp_gpu_options *options,
                     struct sp_gpu_list *list, struct sp_gpu_slot *slot, struct sp_error *err)
{
    const json_t *edits = json_object_get(owner, "containerEdits");
    const json_t *nodes = json_object_get(edits, "deviceNodes");
    const json_t *mounts = json_object_get(edits, "mounts");
    const json_t *env = json_object_get(edits, "env");

    if (json_array_size(nodes) > ITEMS_MAX || json_array_size(mounts) > ITEMS_MAX ||
        json_array_size(env) > ITEMS_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "over %d edits", ITEMS_MAX);
    for (size_t i = 0; i < json_array_size(nodes); i++)
        add_node(json_array_get(nodes, i), options, slot);
    for (size_t i = 0; i < json_array_size(mounts); i++)
        add_mount(json_array_get(mounts, i), list);
    for (size_t i = 0; i < json_array_size(env); i++)
        add_env(json_array_get(env, i), slot);
    return 0;
}

int sp_cdi_read(struct sp_slice text, const char *device, const struct sp_gpu_options *options,
                struct sp_gpu_list *list, struct sp_gpu_slot *slot, struct sp_error *err)
{
    SP_AUTO_JSON json_t *top = NULL;
    const char *kind = NULL, *name = strchr(device, '=');
    const json_t *devices;
    int r = sp_json_parse(text, &top, err);

    if (r < 0)
        return r;
    if (!json_is_object(top) || sp_json_get_str(top, "kind", &kind, NULL) < 0 || !kind ||
        !json_is_string(json_object_get(top, "cdiVersion")))
        return sp_error_set(err, SP_ERR_INVALID, 0, "no cdiVersion and kind");
    devices = json_object_get(top, "devices");
    if (!name || strncmp(device, kind, (size_t)(name - device)) != 0 || kind[name - device] != '\0')
        return 0;
    for (size_t i = 0; i < json_array_size(devices); i++) {
        const json_t *item = json_array_get(devices, i);
        const char *own = json_string_value(json_object_get(item, "name"));

        if (!own || strcmp(own, name + 1) != 0)
            continue;
        r = add_edits(item, options, list, slot, err);
        if (r == 0)
            r = add_edits(top, options, list, slot, err);
        return r < 0 ? r : 1;
    }
    return 0;
}

/* --- the folders --- */

struct files {
    size_t n;
    char *path[FILES_MAX * 2];
    char *text[FILES_MAX * 2];
    size_t len[FILES_MAX * 2];
};

static bool ends(const char *name, const char *end)
{
    return sp_slice_ends(sp_slice_str(name), end);
}

static void read_folder(const struct sp_gpu_options *options, const char *folder,
                        struct files *files, struct sp_gpu_list *list)
{
    SP_AUTO_FREE char *full = sp_asprintf("%s%s", options->root, folder);
    DIR *dir = opendir(full);
    const struct dirent *entry;

    while (dir && files->n < SP_LEN(files->path) && (entry = readdir(dir))) {
        struct sp_error err = {0};
        size_t i = files->n;

        if (ends(entry->d_name, ".yaml") || ends(entry->d_name, ".yml"))
            sp_gpu_list_note(list,
                             "%s/%.60s is not read: only JSON (nvidia-ctk cdi generate "
                             "--format=json)",
                             folder, entry->d_name);
        if (!ends(entry->d_name, ".json"))
            continue;
        if (sp_file_read(dirfd(dir), entry->d_name, SP_JSON_MAX, &files->text[i], &files->len[i],
                         &err) < 0) {
            sp_gpu_list_note(list, "%s/%.60s: %.80s", folder, entry->d_name, err.msg);
            continue;
        }
        files->path[i] = sp_asprintf("%s/%s", folder, entry->d_name);
        files->n++;
    }
    if (dir)
        (void)closedir(dir);
}

static void apply_to(const struct sp_gpu_options *options, const struct files *files,
                     struct sp_gpu_list *list, struct sp_gpu_slot *slot)
{
    struct sp_error err = {0};

    for (size_t name = 0; name < slot->n_cdi; name++)
        for (size_t i = 0; i < files->n; i++) {
            int r = sp_cdi_read(sp_slice(files->text[i], files->len[i]), slot->cdi[name], options,
                                list, slot, &err);

            if (r < 0 && !strstr(list->why, files->path[i]))
                sp_gpu_list_note(list, "%.80s: %.80s", files->path[i], err.msg);
            if (r > 0)
                return;
        }
}

void sp_cdi_apply(const struct sp_gpu_options *options, struct sp_gpu_list *list)
{
    SP_AUTO_FREE struct files *files = sp_new0(struct files);

    for (size_t i = 0; i < SP_LEN(folders); i++)
        read_folder(options, folders[i], files, list);
    for (size_t i = 0; i < list->n; i++)
        apply_to(options, files, list, &list->slots[i]);
    for (size_t i = 0; i < files->n; i++) {
        free(files->path[i]);
        free(files->text[i]);
    }
}
