#include "runtime/api/assets.h"

#include <stdlib.h>
#include <string.h>

static int compare(const void *key, const void *element)
{
    const struct sp_slice *path = key;
    const char *other = ((const struct sp_asset *)element)->path;
    size_t other_len = strlen(other);
    size_t len = path->len < other_len ? path->len : other_len;
    int order = memcmp(path->ptr, other, len);

    if (order != 0)
        return order;
    return (path->len > other_len) - (path->len < other_len);
}

static const struct sp_asset *find(struct sp_slice path)
{
    if (path.len == 0)
        return NULL;
    return bsearch(&path, sp_asset_table, sp_asset_count, sizeof(sp_asset_table[0]), compare);
}

const struct sp_asset *sp_asset_find(struct sp_slice path)
{
    /* A page is served under its own addresses and headers only. */
    if (sp_slice_ends(path, ".html"))
        return NULL;
    return find(path);
}

const struct sp_asset *sp_asset_page(enum sp_page page)
{
    const struct sp_asset *asset =
        find(page == SP_PAGE_APP ? SP_SLICE("/app-page.html") : SP_SLICE("/hub.html"));

    if (!asset) /* the generator always writes both */
        abort();
    return asset;
}
