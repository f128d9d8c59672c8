#include "helpers/base_oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>
#include <zlib.h>

#include "base/error.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

#define HEX 64

static int refuse(struct sp_error *err, const char *what)
{
    return sp_error_set(err, SP_ERR_INVALID, -EINVAL, "not an image that can be read (%s)", what);
}

/* "sha256:<64 hex digits>" as the path of the blob. */
static int blob_path(const json_t *descriptor, char *ret, size_t size, struct sp_error *err)
{
    const char *digest = json_string_value(json_object_get(descriptor, "digest"));

    if (!digest || strncmp(digest, "sha256:", 7) != 0 || strlen(digest) != 7 + HEX ||
        strspn(digest + 7, "0123456789abcdef") != HEX)
        return refuse(err, "a digest that is not sha256");
    (void)snprintf(ret, size, "blobs/sha256/%s", digest + 7);
    return 0;
}

static int open_blob(int layout, const char *path, struct sp_error *err)
{
    int fd = -1, r = sp_open_beneath(layout, path, O_RDONLY, 0, &fd, err);

    return r < 0 ? r : fd;
}

/* Whether the content of a blob is what its name says. Ends at the beginning again. */
static int check_blob(int fd, const char *path, struct sp_error *err)
{
    static unsigned char data[1 << 16];
    unsigned char sum[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state hash;
    char hex[HEX + 1];
    ssize_t n;

    (void)crypto_hash_sha256_init(&hash);
    while ((n = read(fd, data, sizeof(data))) > 0)
        (void)crypto_hash_sha256_update(&hash, data, (size_t)n);
    (void)crypto_hash_sha256_final(&hash, sum);
    (void)sodium_bin2hex(hex, sizeof(hex), sum, sizeof(sum));
    if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "read a blob");
    return strcmp(hex, path + strlen("blobs/sha256/")) == 0
               ? 0
               : refuse(err, "a blob is not its digest");
}

static int read_json(int layout, const char *path, bool is_blob, json_t **ret, struct sp_error *err)
{
    SP_AUTO_FREE char *text = NULL;
    size_t len;
    int r = 0;

    if (is_blob) {
        SP_AUTO_FD int fd = open_blob(layout, path, err);

        r = fd < 0 ? fd : check_blob(fd, path, err);
    }
    if (r == 0)
        r = sp_file_read(layout, path, SP_JSON_MAX, &text, &len, err);
    return r == 0 ? sp_json_parse(sp_slice(text, len), ret, err) : r;
}

/* --- the configuration --- */

/* A list of short strings; what is another thing is left out with the key. */
static json_t *strings(const json_t *list)
{
    json_t *ret = json_array();
    const json_t *item;
    size_t i;

    json_array_foreach (list, i, item)
        if (i < 256 && json_is_string(item) && json_string_length(item) < 4096)
            (void)json_array_append(ret, (json_t *)(uintptr_t)item);
    return ret;
}

/*
 * A working folder below /proc, /sys or /dev would be somebody else's: /proc/self/fd/N is what a
 * careless set-up still has open (CVE-2024-21626).
 */
static int check_workdir(const char *path, struct sp_error *err)
{
    static const char *const kernel[] = {"/proc", "/sys", "/dev"};

    if (!path[0])
        return 0;
    if (path[0] != '/' || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") ||
        strlen(path) >= 1024 || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
        return sp_error_set(err, SP_ERR_INVALID, -EINVAL,
                            "the image's WorkingDir '%.100s' is not an absolute path", path);
    for (size_t i = 0; i < SP_LEN(kernel); i++) {
        size_t len = strlen(kernel[i]);

        if (strncmp(path, kernel[i], len) == 0 && (path[len] == '/' || !path[len]))
            return sp_error_set(err, SP_ERR_INVALID, -EINVAL,
                                "the image's WorkingDir '%.100s' is the kernel's, not a folder",
                                path);
    }
    return 0;
}

static int read_config(const json_t *image, json_t **ret, struct sp_error *err)
{
    const json_t *config = json_object_get(image, "config");
    const json_t *ports = json_object_get(config, "ExposedPorts");
    const char *workdir = json_string_value(json_object_get(config, "WorkingDir"));
    const char *user = json_string_value(json_object_get(config, "User"));
    json_t *list;
    const char *port;
    json_t *unused;
    int r = check_workdir(workdir ? workdir : "", err);

    if (r < 0)
        return r;
    list = json_array();
    json_object_foreach ((json_t *)(uintptr_t)ports, port, unused)
        if (strlen(port) < 32 && json_array_size(list) < 64)
            (void)json_array_append_new(list, json_string(port));
    *ret =
        json_pack("{s:o, s:o, s:o, s:s, s:s, s:o}", "env", strings(json_object_get(config, "Env")),
                  "entrypoint", strings(json_object_get(config, "Entrypoint")), "cmd",
                  strings(json_object_get(config, "Cmd")), "workdir", workdir ? workdir : "",
                  "user", user && strlen(user) < 256 ? user : "", "ports", list);
    return *ret ? 0 : refuse(err, "its configuration");
}

/* --- a layer --- */

struct stream {
    gzFile file;
    uint64_t bytes, max; /* unpacked, all headers counted */
};

static long read_stream(void *arg, void *buf, size_t len, struct sp_error *err)
{
    struct stream *stream = arg;
    int n = gzread(stream->file, buf, (unsigned)len);

    if (n < 0)
        return refuse(err, "a layer is not gzip");
    stream->bytes += (uint64_t)n;
    if (stream->bytes > stream->max)
        return sp_error_set(err, SP_ERR_LIMIT, -EFBIG,
                            "a layer unpacks to over %llu bytes (base.max_bytes)",
                            (unsigned long long)stream->max);
    return n;
}

/* Both passes over one layer. Headers and paddings may be as much as the files again. */
static int put_layer(const struct sp_oci *oci, const char *path, struct sp_layer_count *count,
                     struct sp_error *err)
{
    SP_AUTO_FD int fd = open_blob(oci->layout_fd, path, err);
    int r = fd < 0 ? fd : check_blob(fd, path, err);

    for (int pass = 0; pass < 2 && r == 0; pass++) {
        struct stream stream = {.max = oci->limits.max_bytes + oci->limits.max_files * 2048};
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        struct sp_tar tar;

        if (copy < 0 || lseek(copy, 0, SEEK_SET) < 0 || !(stream.file = gzdopen(copy, "rb")))
            return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open a layer");
        sp_tar_init(&tar, read_stream, &stream);
        r = pass == 0 ? sp_layer_whiteouts(oci->root_fd, &tar, &oci->limits, err)
                      : sp_layer_files(oci->root_fd, &tar, &oci->limits, count, err);
        (void)gzclose(stream.file);
    }
    return r;
}

static int check_type(const json_t *layer, struct sp_error *err)
{
    static const char *const known[] = {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    };
    const char *type = json_string_value(json_object_get(layer, "mediaType"));

    for (size_t i = 0; type && i < SP_LEN(known); i++)
        if (strcmp(type, known[i]) == 0)
            return 0;
    return sp_error_set(err, SP_ERR_INVALID, -EINVAL,
                        "a layer is of the type '%.100s'; read are tar "
                        "and gzip",
                        type ? type : "");
}

static int put_layers(const struct sp_oci *oci, const json_t *layers, struct sp_error *err)
{
    unsigned n = (unsigned)json_array_size(layers);
    struct sp_layer_count count = {0};
    const json_t *layer;
    char path[96];
    int r = 0;
    size_t i;

    if (n == 0)
        return refuse(err, "it has no layers");
    if (n > oci->max_layers)
        return sp_error_set(err, SP_ERR_LIMIT, -EFBIG,
                            "the image has %u layers, over %u "
                            "(base.max_layers)",
                            n, oci->max_layers);
    json_array_foreach (layers, i, layer) {
        oci->progress((unsigned)i + 1, n);
        r = check_type(layer, err);
        if (r == 0)
            r = blob_path(layer, path, sizeof(path), err);
        if (r == 0)
            r = put_layer(oci, path, &count, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int sp_oci_unpack(const struct sp_oci *oci, json_t **ret, struct sp_error *err)
{
    SP_AUTO_JSON json_t *index = NULL, *manifest = NULL, *image = NULL, *config = NULL;
    char path[96];
    int r = read_json(oci->layout_fd, "index.json", false, &index, err);

    if (r == 0)
        r = blob_path(json_array_get(json_object_get(index, "manifests"), 0), path, sizeof(path),
                      err);
    if (r == 0)
        r = read_json(oci->layout_fd, path, true, &manifest, err);
    if (r == 0)
        r = blob_path(json_object_get(manifest, "config"), path, sizeof(path), err);
    if (r == 0)
        r = read_json(oci->layout_fd, path, true, &image, err);
    if (r == 0)
        r = read_config(image, &config, err); /* before the layers: they take time */
    if (r == 0)
        r = put_layers(oci, json_object_get(manifest, "layers"), err);
    if (r == 0)
        *ret = SP_TAKE(config);
    return r;
}
