/*
 * ui-protocol/multipart.h - multipart/form-data piece by piece (RFC 7578, RFC 2046 5.1).
 *
 * The parser holds back at most one delimiter's length of bytes, so that a 5 GB upload costs no
 * memory. It calls nobody: feed it and read events, as with the other codecs here.
 */
#ifndef SP_UI_PROTOCOL_MULTIPART_H
#define SP_UI_PROTOCOL_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define SP_MULTIPART_BOUNDARY_MAX 70             /* RFC 2046 5.1.1 */
#define SP_MULTIPART_HEAD_MAX     ((size_t)4096) /* headers of one part */
#define SP_MULTIPART_NAME_MAX     1024           /* bytes of a field or file name */

enum sp_multipart_event {
    SP_MULTIPART_MORE, /* all input used, feed more */
    SP_MULTIPART_PART, /* a part begins: name, filename, content_type are set */
    SP_MULTIPART_DATA, /* bytes of the part: `data` */
    SP_MULTIPART_END,  /* the part is complete */
    SP_MULTIPART_DONE, /* the closing delimiter was read; what follows is ignored */
    SP_MULTIPART_BAD,  /* `why` says what is wrong; feed nothing more */
};

struct sp_multipart {
    char boundary[SP_MULTIPART_BOUNDARY_MAX + 5]; /* with CRLF and "--" in front */
    size_t boundary_len;
    unsigned state;
    size_t matched; /* bytes of the delimiter seen at the end of the input so far */
    char head[SP_MULTIPART_HEAD_MAX];
    size_t head_len;
    /* the part at hand */
    char name[SP_MULTIPART_NAME_MAX + 1];
    char filename[SP_MULTIPART_NAME_MAX + 1]; /* as sent, UTF-8; may hold '/' */
    bool has_filename;
    char content_type[128];
    struct sp_slice data;
    const char *why;
};

/* Finds the boundary in a Content-Type value. False when it is another type or the boundary is bad.
 */
bool sp_multipart_init(struct sp_multipart *mp, struct sp_slice content_type);

/*
 * Reads from `in`, which it shortens by what it used, and reports one event. Call again with the
 * rest until SP_MULTIPART_MORE, DONE or BAD. `mp->data` points into `in` or into `mp` and is valid
 * until the next call.
 */
enum sp_multipart_event sp_multipart_feed(struct sp_multipart *mp, struct sp_slice *in);

#endif
