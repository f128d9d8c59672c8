/* helpers/resolver_filter.h - the system calls that spaces-resolver is left with. */
#ifndef SP_HELPERS_RESOLVER_FILTER_H
#define SP_HELPERS_RESOLVER_FILTER_H

/* From here on any other call ends the process. 0 or negative errno. */
int sp_resolver_filter(void);

#endif
