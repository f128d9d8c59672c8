#include "runtime/spaces/resources.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "runtime/config.h"
#include "sandbox/image_tools.h"
#include "sandbox/network_options.h"

static const char *const modes[] = {
    [SP_LAUNCH_NETWORK_NONE] = "none",
    [SP_LAUNCH_NETWORK_OUTBOUND] = "outbound",
    [SP_LAUNCH_NETWORK_ALLOW_LIST] = "allow-list",
};

/* The setting has been checked when it was read. */
static size_t read_flavors(const struct sp_config *config, struct sp_flavor ret[SP_FLAVORS_MAX])
{
    size_t n = 0;

    (void)sp_flavors_parse(sp_config_str(config, "space.flavors"), ret, &n, NULL);
    return n;
}

static bool find_flavor(const struct sp_config *config, const char *name, struct sp_flavor *ret)
{
    struct sp_flavor all[SP_FLAVORS_MAX];
    size_t n = read_flavors(config, all);

    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].name, name) == 0) {
            *ret = all[i];
            return true;
        }
    }
    return false;
}

static int need_flavor(const struct sp_config *config, const char *name, struct sp_flavor *ret,
                       struct sp_error *err)
{
    if (find_flavor(config, name, ret))
        return 0;
    return sp_error_set(err, SP_ERR_INVALID, 0, "this host has no hardware '%.40s' (space.flavors)",
                        name);
}

const char *sp_resources_hardware(const struct sp_resources *resources)
{
    return resources->hardware[0] ? resources->hardware : SP_FLAVOR_BASIC;
}

/* The size of a tier, 0 for what is none. */
static uint64_t tier_bytes(const struct sp_config *config, const char *tier)
{
    if (strcmp(tier, "small") == 0)
        return sp_config_size(config, "storage.small");
    if (strcmp(tier, "medium") == 0)
        return sp_config_size(config, "storage.medium");
    if (strcmp(tier, "large") == 0)
        return sp_config_size(config, "storage.large");
    return 0;
}

static void flavor_limits(const struct sp_config *config, const struct sp_flavor *flavor,
                          struct sp_launch_limits *ret)
{
    *ret = (struct sp_launch_limits){
        .memory_bytes = sp_config_size(config, "space.memory"),
        .layer_bytes = sp_config_size(config, "space.layer"),
        .shm_bytes = sp_config_size(config, "space.shm"),
        .disk_write_bytes = sp_config_size(config, "space.disk_write"),
        .layer_inodes = (uint32_t)sp_config_int(config, "space.layer_inodes"),
        .cpu_millis = (uint32_t)sp_config_int(config, "space.cpu"),
        .pids = (uint32_t)sp_config_int(config, "space.pids"),
        .nofile = (uint32_t)sp_config_int(config, "space.nofile"),
    };
    if (flavor->memory_bytes)
        ret->memory_bytes = flavor->memory_bytes;
    if (flavor->layer_bytes)
        ret->layer_bytes = flavor->layer_bytes;
    if (flavor->shm_bytes)
        ret->shm_bytes = flavor->shm_bytes;
    if (flavor->cpu_millis)
        ret->cpu_millis = (uint32_t)flavor->cpu_millis;
    if (flavor->pids)
        ret->pids = (uint32_t)flavor->pids;
}

/* 0 would let the launcher choose. */
static uint32_t data_inodes(uint64_t bytes, uint64_t per_inode)
{
    uint64_t n = bytes / per_inode;

    if (n > SP_LAUNCH_DATA_INODES_MAX)
        n = SP_LAUNCH_DATA_INODES_MAX;
    return bytes && !n ? 1 : (uint32_t)n;
}

void sp_resources_limits(const struct sp_config *config, const struct sp_resources *resources,
                         struct sp_launch_limits *ret)
{
    struct sp_flavor flavor = {0};
    uint64_t per_inode = sp_config_size(config, "storage.bytes_per_file");

    (void)find_flavor(config, sp_resources_hardware(resources), &flavor);
    flavor_limits(config, &flavor, ret);
    ret->data_bytes = tier_bytes(config, resources->storage);
    ret->data_inodes = data_inodes(ret->data_bytes, per_inode);
}

int sp_resources_fill(const struct sp_config *config, struct sp_gpu_slots *gpus,
                      const struct sp_resources *resources, struct sp_launch_msg *msg,
                      struct sp_error *err)
{
    struct sp_flavor flavor;
    int r = need_flavor(config, sp_resources_hardware(resources), &flavor, err);

    if (r == 0)
        r = sp_gpu_slots_take(gpus, &flavor, msg, err);
    if (r < 0)
        return r;
    sp_resources_limits(config, resources, &msg->sandbox_start.limits);
    msg->sandbox_start.network = resources->network;
    (void)snprintf(msg->sandbox_start.allow, sizeof(msg->sandbox_start.allow), "%s",
                   resources->allow);
    return 0;
}

enum sp_gpu_fit sp_resources_gpu_fit(const struct sp_config *config,
                                     const struct sp_gpu_slots *gpus,
                                     const struct sp_resources *resources, uint64_t without,
                                     struct sp_error *why)
{
    struct sp_flavor flavor = {0};

    (void)find_flavor(config, sp_resources_hardware(resources), &flavor);
    return sp_gpu_slots_fit(gpus, &flavor, without, why);
}

const char *sp_resources_promise(const struct sp_config *config, const struct sp_gpu_slots *gpus,
                                 const struct sp_resources *resources)
{
    struct sp_flavor flavor = {0};
    struct sp_gpu_offer offer;

    if (!find_flavor(config, sp_resources_hardware(resources), &flavor) || !flavor.gpus)
        return "";
    sp_gpu_slots_offer(gpus, &flavor, &offer);
    return offer.promise;
}

/* --- choices --- */

int sp_resources_set_hardware(const struct sp_config *config, const struct sp_gpu_slots *gpus,
                              struct sp_resources *resources, const char *name,
                              struct sp_error *err)
{
    struct sp_flavor flavor;
    int r = need_flavor(config, name, &flavor, err);

    if (r < 0)
        return r;
    if (sp_gpu_slots_fit(gpus, &flavor, 0, err) == SP_GPU_NEVER)
        return -EINVAL;
    (void)snprintf(resources->hardware, sizeof(resources->hardware), "%s",
                   strcmp(flavor.name, SP_FLAVOR_BASIC) == 0 ? "" : flavor.name);
    return 0;
}

int sp_resources_set_storage(const struct sp_config *config, struct sp_resources *resources,
                             const char *tier, uint64_t image_bytes, struct sp_error *err)
{
    uint64_t bytes = tier_bytes(config, tier);
    struct sp_error why = {0};

    if (!bytes)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "storage '%.40s' is none of small, medium, large", tier);
    if (resources->storage[0] && bytes < image_bytes)
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "the Space has %" PRIu64 " MiB of storage, which is never made "
                            "smaller: delete it first, with all that is in it",
                            image_bytes >> 20);
    if (sp_image_tools_found(&why) < 0)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, 0,
                            "this host offers no storage: %.200s; its operator can install "
                            "e2fsprogs",
                            why.msg);
    (void)snprintf(resources->storage, sizeof(resources->storage), "%s", tier);
    return 0;
}

static bool is_host_name(struct sp_slice name)
{
    if (sp_slice_starts(name, "*."))
        name = sp_slice(name.ptr + 2, name.len - 2);
    if (name.len == 0 || name.len > 253 || name.ptr[0] == '-' || name.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static int check_allow(const char *allow, struct sp_error *err)
{
    struct sp_slice rest = sp_slice_str(allow), name;

    if (!allow[0])
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "an allow-list needs names, such as pypi.org or *.example.org");
    if (rest.len >= sizeof(((struct sp_resources *)NULL)->allow))
        return sp_error_set(err, SP_ERR_INVALID, 0, "the allow-list has over %zu bytes",
                            sizeof(((struct sp_resources *)NULL)->allow) - 1);
    while (sp_slice_split(&rest, ',', &name))
        if (!is_host_name(name))
            return sp_error_set(err, SP_ERR_INVALID, 0,
                                "'%.*s' is not a host name such as pypi.org or *.example.org",
                                (int)(name.len < 64 ? name.len : 64), name.ptr);
    return 0;
}

/* The launcher refuses it too, at the start; here its owner hears of it. The setting has been
 * checked. */
static int check_allowed(const struct sp_config *config, uint32_t mode, struct sp_error *err)
{
    unsigned allowed = 1u << SP_LAUNCH_NETWORK_NONE;

    (void)sp_network_parse_modes(sp_config_str(config, "network.allowed"), &allowed, NULL);
    if (allowed & 1u << mode)
        return 0;
    return sp_error_set(err, SP_ERR_DENIED, 0,
                        "network '%s' is not allowed on this host (see network.allowed)",
                        modes[mode]);
}

int sp_resources_set_network(const struct sp_config *config, struct sp_resources *resources,
                             const char *mode, const char *allow, struct sp_error *err)
{
    int r = 0;

    for (uint32_t i = 0; i < SP_LEN(modes); i++) {
        if (strcmp(mode, modes[i]) != 0)
            continue;
        if (i == SP_LAUNCH_NETWORK_ALLOW_LIST)
            r = check_allow(allow, err);
        else if (allow[0])
            r = sp_error_set(err, SP_ERR_INVALID, 0, "'allow' belongs to the mode allow-list");
        if (r == 0)
            r = check_allowed(config, i, err);
        if (r < 0)
            return r;
        resources->network = i;
        (void)snprintf(resources->allow, sizeof(resources->allow), "%s", allow);
        return 0;
    }
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "network '%.40s' is none of none, outbound, allow-list", mode);
}

char *sp_resources_proxy(const struct sp_config *config, uint32_t network, const char *variable)
{
    const char *proxy = sp_config_str(config, "network.proxy");

    if (!proxy[0] || network != SP_LAUNCH_NETWORK_OUTBOUND)
        return NULL;
    return sp_asprintf("%s=%s%s", variable,
                       sp_slice_starts(sp_slice_str(proxy), "http://") ? "" : "http://", proxy);
}

int sp_resources_set_sleep(struct sp_resources *resources, int64_t seconds, struct sp_error *err)
{
    if (seconds != -1 && (seconds < 1 || seconds > INT64_C(31536000)))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "%" PRId64 " s is not a sleep time: 1 to 31536000, or -1 for never",
                            seconds);
    resources->sleep_s = seconds;
    return 0;
}

uint64_t sp_resources_freeze_ms(const struct sp_config *config,
                                const struct sp_resources *resources)
{
    if (resources->sleep_s < 0)
        return 0;
    if (resources->sleep_s > 0)
        return (uint64_t)resources->sleep_s * 1000;
    return sp_config_duration(config, "space.freeze_after");
}

bool sp_resources_differ(const struct sp_resources *a, const struct sp_resources *b)
{
    return strcmp(a->hardware, b->hardware) != 0 || strcmp(a->storage, b->storage) != 0 ||
           a->network != b->network || strcmp(a->allow, b->allow) != 0;
}

/* Reaches less than before, or may: lists are not compared name by name. */
static bool is_stricter(const struct sp_resources *old, const struct sp_resources *next)
{
    if (old->network == next->network && strcmp(old->allow, next->allow) == 0)
        return false;
    return old->network != SP_LAUNCH_NETWORK_NONE && next->network != SP_LAUNCH_NETWORK_OUTBOUND;
}

bool sp_resources_tighten(const struct sp_config *config, const struct sp_resources *old,
                          const struct sp_resources *next)
{
    struct sp_launch_limits a = {0}, b = {0};

    sp_resources_limits(config, old, &a);
    sp_resources_limits(config, next, &b);
    return is_stricter(old, next) || b.memory_bytes < a.memory_bytes ||
           b.layer_bytes < a.layer_bytes || b.shm_bytes < a.shm_bytes ||
           b.layer_inodes < a.layer_inodes || b.cpu_millis < a.cpu_millis || b.pids < a.pids ||
           b.nofile < a.nofile;
}

/* --- forms --- */

const char *sp_resources_network_to_string(uint32_t network)
{
    return network < SP_LEN(modes) ? modes[network] : "none";
}

json_t *sp_resources_allow_json(const struct sp_resources *resources)
{
    struct sp_slice rest = sp_slice_str(resources->allow), name;
    json_t *list = json_array();

    while (sp_slice_split(&rest, ',', &name))
        if (name.len)
            (void)json_array_append_new(list, json_stringn(name.ptr, name.len));
    return list;
}

/* "16 GB", "512 MB" */
static char *size_text(uint64_t bytes)
{
    return bytes >> 30 ? sp_asprintf("%.3g GB", (double)bytes / (double)(1ull << 30))
                       : sp_asprintf("%" PRIu64 " MB", bytes >> 20);
}

static const char *manufacturer(const char *model)
{
    static const char *const names[][2] = {
        {"nvidia", "Nvidia"}, {"amd", "AMD"}, {"intel", "Intel"}};

    for (size_t i = 0; i < SP_LEN(names); i++)
        if (strncasecmp(model, names[i][0], strlen(names[i][0])) == 0)
            return names[i][1];
    return "";
}

/* `promise` and `reason` are ours beside what the Hub says: what its kind of slot promises, and why
 * it cannot be had here. */
static void put_accelerator(json_t *row, const struct sp_gpu_slots *gpus,
                            const struct sp_flavor *flavor)
{
    SP_AUTO_FREE char *quantity = sp_asprintf("%" PRIu64, flavor->gpus);
    SP_AUTO_FREE char *vram = NULL;
    struct sp_error why = {0};
    struct sp_gpu_offer offer;
    bool never = sp_gpu_slots_fit(gpus, flavor, 0, &why) == SP_GPU_NEVER;

    sp_gpu_slots_offer(gpus, flavor, &offer);
    vram = offer.memory_bytes ? size_text(offer.memory_bytes) : sp_strdup("");
    (void)json_object_set_new(row, "accelerator",
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "type", "gpu", "model",
                                        offer.model[0] ? offer.model : flavor->gpu, "quantity",
                                        quantity, "vram", vram, "manufacturer",
                                        manufacturer(offer.model)));
    if (never)
        (void)json_object_set_new(row, "reason", json_string(why.msg));
    else
        (void)json_object_set_new(row, "promise", json_string(offer.promise));
}

static json_t *flavor_json(const struct sp_config *config, const struct sp_gpu_slots *gpus,
                           const struct sp_flavor *flavor)
{
    struct sp_launch_limits limits;
    SP_AUTO_FREE char *cpu = NULL;
    SP_AUTO_FREE char *ram = NULL;
    json_t *row;

    flavor_limits(config, flavor, &limits);
    cpu = sp_asprintf("%g vCPU", limits.cpu_millis / 1000.0);
    ram = size_text(limits.memory_bytes);
    row = json_pack("{s:s, s:s, s:s, s:s, s:n, s:n, s:n, s:i, s:i, s:s}", "name", flavor->name,
                    "prettyName", flavor->name, "cpu", cpu, "ram", ram, "accelerator", "promise",
                    "reason", "unitCostMicroUSD", 0, "unitCostUSD", 0, "unitLabel", "minute");
    if (flavor->gpus)
        put_accelerator(row, gpus, flavor);
    return row;
}

json_t *sp_resources_flavors_json(const struct sp_config *config, const struct sp_gpu_slots *gpus)
{
    struct sp_flavor all[SP_FLAVORS_MAX];
    size_t n = read_flavors(config, all);
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, flavor_json(config, gpus, &all[i]));
    return list;
}

json_t *sp_resources_to_record(const struct sp_resources *resources)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:I}", "hardware", resources->hardware, "storage",
                     resources->storage, "network",
                     sp_resources_network_to_string(resources->network), "allow", resources->allow,
                     "sleep_s", (json_int_t)resources->sleep_s);
}

static bool copy(const json_t *obj, const char *key, char *ret, size_t size)
{
    const char *value = "";

    if (sp_json_get_str(obj, key, &value, NULL) < 0 || strlen(value) >= size)
        return false;
    (void)snprintf(ret, size, "%s", value);
    return true;
}

bool sp_resources_from_record(const json_t *obj, struct sp_resources *ret)
{
    const char *network = "none";

    *ret = (struct sp_resources){0};
    if (!obj || json_is_null(obj))
        return true;
    if (!json_is_object(obj) || !copy(obj, "hardware", ret->hardware, sizeof(ret->hardware)) ||
        !copy(obj, "storage", ret->storage, sizeof(ret->storage)) ||
        !copy(obj, "allow", ret->allow, sizeof(ret->allow)) ||
        sp_json_get_str(obj, "network", &network, NULL) < 0 ||
        sp_json_get_int(obj, "sleep_s", -1, INT32_MAX, &ret->sleep_s, NULL) < 0)
        return false;
    for (uint32_t i = 0; i < SP_LEN(modes); i++) {
        if (strcmp(network, modes[i]) == 0) {
            ret->network = i;
            return true;
        }
    }
    return false;
}
