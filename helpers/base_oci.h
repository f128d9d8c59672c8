/*
 * helpers/base_oci.h - an image in the OCI layout, as skopeo has written it: its layers put into a
 * folder, and of its configuration what a start needs. Every blob is checked against its name.
 */
#ifndef SP_HELPERS_BASE_OCI_H
#define SP_HELPERS_BASE_OCI_H

#include <jansson.h>

#include "helpers/layer.h"

struct sp_error;

#define SP_OCI_LAYERS_MAX 128

struct sp_oci {
    int layout_fd; /* the folder with index.json */
    int root_fd;   /* an empty folder */
    struct sp_layer_limits limits;
    unsigned max_layers; /* at most SP_OCI_LAYERS_MAX */
    void (*progress)(unsigned layer, unsigned of);
};

/*
 * `*ret` is yours: {"env", "entrypoint", "cmd", "workdir", "user", "ports"}; what the image says of
 * its history and its makers is left out.
 */
int sp_oci_unpack(const struct sp_oci *oci, json_t **ret, struct sp_error *err);

#endif
