/*
 * runtime/api/assets.h - the web pages that are compiled into the program.
 *
 * web/build.mjs (or tools/web-off.sh) writes the table; nothing is read from disk at run time.
 * Each file is there twice, as it is and compressed, so that answering never compresses or
 * inflates. All pointers live as long as the program.
 */
#ifndef SP_RUNTIME_API_ASSETS_H
#define SP_RUNTIME_API_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct sp_asset {
    const char *path;     /* "/assets/hub-ABCD1234.js" */
    const char *type;     /* Content-Type */
    const char *etag;     /* with its quotes; of the content, the same for both forms */
    const char *gz_begin; /* gzip -9 */
    const char *gz_end;
    const char *raw_begin;
    const char *raw_end;
    bool immutable; /* the path carries a hash: cache for a year; otherwise no-cache and ETag */
};

/* The pages' policy: everything from ourselves, nothing inline; WebSockets count as 'self'. */
#define SP_PAGE_CSP                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "        \
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; frame-src 'self'; "              \
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"

enum sp_page {
    SP_PAGE_HUB,   /* every page of the hub; the router in it reads the address */
    SP_PAGE_LOGIN, /* the same file: signing in is a page of the hub */
    SP_PAGE_APP,   /* one app and nothing else, at /app/{owner}/{name} */
};

/* By exact path; NULL when there is none. The pages themselves are not found this way. */
const struct sp_asset *sp_asset_find(struct sp_slice path);

/* Never NULL. */
const struct sp_asset *sp_asset_page(enum sp_page page);

static inline struct sp_slice sp_asset_gz(const struct sp_asset *asset)
{
    return sp_slice(asset->gz_begin, (size_t)(asset->gz_end - asset->gz_begin));
}

static inline struct sp_slice sp_asset_raw(const struct sp_asset *asset)
{
    return sp_slice(asset->raw_begin, (size_t)(asset->raw_end - asset->raw_begin));
}

/* The generated table, sorted by path; use the functions above. */
extern const struct sp_asset sp_asset_table[];
extern const size_t sp_asset_count;

#endif
