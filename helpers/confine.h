/*
 * helpers/confine.h - a Landlock domain for a program that reads what strangers wrote: the files it
 * needs and no other, and no connection unless it is to have one.
 */
#ifndef SP_HELPERS_CONFINE_H
#define SP_HELPERS_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

struct sp_error;

struct sp_confine_rule {
    const char *path; /* absent on this host: left out */
    enum { SP_CONFINE_READ, SP_CONFINE_RUN, SP_CONFINE_WRITE } how; /* each with those before it */
};

/*
 * Enters it, with no_new_privs; cannot be undone, and holds for children. SP_ERR_UNAVAILABLE where
 * the kernel has no Landlock. Connections can be refused from Linux 6.7 on; below, they are not.
 */
int sp_confine(const struct sp_confine_rule *rules, size_t n, bool connects, struct sp_error *err);

#endif
