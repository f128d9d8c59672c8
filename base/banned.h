/*
 * base/banned.h - functions that we do not call, and what to call instead. The Makefile includes
 * it before every source file of ours (-include), so a use is a compile error.
 */
#ifndef SP_BASE_BANNED_H
#define SP_BASE_BANNED_H

/* These headers must come first, or their own declarations would trip over the poison. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#pragma GCC poison strcpy strcat stpcpy           /* bounded: snprintf, sp_buf_append */
#pragma GCC poison strncpy strncat                /* do not terminate: snprintf */
#pragma GCC poison sprintf vsprintf               /* snprintf, sp_asprintf */
#pragma GCC poison strtok strtok_r                /* sp_slice_split */
#pragma GCC poison atoi atol atoll                /* no errors: sp_parse_u64 */
#pragma GCC poison gets scanf sscanf fscanf       /* a parser with limits */
#pragma GCC poison gmtime localtime asctime ctime /* shared buffers: the _r forms */
#pragma GCC poison system popen                   /* no shell: fork and exec, or uv_spawn */
#pragma GCC poison tmpnam mktemp                  /* races: openat with O_EXCL */

#endif
