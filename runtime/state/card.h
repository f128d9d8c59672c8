/*
 * runtime/state/card.h - the front matter of a Space's README.md, by libyaml, with limits.
 *
 * Unknown keys are kept out and are not an error (cards carry many). A known key with a wrong value
 * is SP_ERR_INVALID with the line: "README.md:4: emoji: expected a short text".
 */
#ifndef SP_RUNTIME_STATE_CARD_H
#define SP_RUNTIME_STATE_CARD_H

#include "base/str.h"

struct sp_error;

struct sp_card {
    char title[128];
    char emoji[32];
    char color_from[16]; /* red yellow green blue indigo purple pink gray */
    char color_to[16];
    char sdk[16];       /* "gradio" when absent */
    char app_file[256]; /* "app.py" when absent; relative, no ".." */
    char license[64];
    char short_description[256];
    char engine[16]; /* the "gradio:" key: "builtin", "pip" or "" */
    char python_version[16];
    char base[64]; /* the base it runs in; "" = the operator's */
};

/* `readme` may be empty: a Space without a card gets the defaults. At most 64 KiB of front matter.
 */
int sp_card_parse(struct sp_slice readme, struct sp_card *ret, struct sp_error *err);

#endif
