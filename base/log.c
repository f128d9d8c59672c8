#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#define QUOTED_MAX 400 /* bytes of a value */

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static enum sp_log_level min_level = SP_LOG_INFO;
static const char *program;

void sp_log_set_level(enum sp_log_level level)
{
    min_level = level;
}

int sp_log_level_from_string(const char *s)
{
    for (size_t i = 0; i < SP_LEN(level_names); i++)
        if (strcmp(s, level_names[i]) == 0)
            return (int)i;
    return -1;
}

void sp_log_set_program(const char *name)
{
    program = name;
}

static size_t put_prefix(char *line, size_t size, enum sp_log_level level, const char *event)
{
    struct timespec now;
    struct tm tm;
    int n;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    n = snprintf(line, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s%s%s %s ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, now.tv_nsec / 1000000,
                 level_names[level], program ? " " : "", program ? program : "", event);
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

void sp_log(enum sp_log_level level, const char *event, const char *fmt, ...)
{
    int saved = errno;
    char line[2048];
    size_t len;
    va_list ap;
    int n;

    if (level < min_level)
        return;

    len = put_prefix(line, sizeof(line) - 1, level, event);
    va_start(ap, fmt);
    n = vsnprintf(line + len, sizeof(line) - 1 - len, fmt, ap);
    va_end(ap);
    if (n > 0)
        len += (size_t)n < sizeof(line) - 1 - len ? (size_t)n : sizeof(line) - 2 - len;

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?';
    line[len++] = '\n';
    (void)!write(STDERR_FILENO, line, len); /* nowhere left to report to */
    errno = saved;
}

/* The character of a valid sequence. */
static unsigned decode(const char *s, size_t len)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    unsigned c = (unsigned char)s[0] & first_bits[len];

    for (size_t i = 1; i < len; i++)
        c = c << 6 | ((unsigned char)s[i] & 0x3f);
    return c;
}

/* What a terminal obeys, or what makes a line read otherwise than it is written. */
static bool is_unseemly(unsigned c)
{
    return (c >= 0x80 && c <= 0x9f) ||                    /* C1: 0x9b begins commands */
           c == 0x061c || (c >= 0x200e && c <= 0x200f) || /* marks of direction */
           (c >= 0x2028 && c <= 0x202e) ||                /* ends of lines, overrides */
           (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;   /* isolates; no width at all */
}

static char plain(unsigned char c)
{
    return c < 0x20 || c == 0x7f ? '?' : (char)c;
}

/* Appends one character; returns how many bytes of `text` it was. */
static size_t quote_one(const char *text, size_t left, char *out, size_t *len)
{
    size_t n = sp_utf8_sequence(text, left);
    unsigned c = n ? decode(text, n) : '?';

    if (n > 1 && !is_unseemly(c)) {
        memcpy(out + *len, text, n);
        *len += n;
        return n;
    }
    if (n > 1) {
        *len += (size_t)snprintf(out + *len, 7, "\\u%04x", c & 0xffff);
        return n;
    }
    if (c == '"' || c == '\\' || c == '\n')
        out[(*len)++] = '\\';
    out[(*len)++] = c == '\n' ? 'n' : plain((unsigned char)c);
    return 1;
}

const char *sp_log_quoted(const char *text)
{
    static __thread char ring[8][3 * QUOTED_MAX + 8]; /* two bytes may become six */
    static __thread unsigned next;
    char *out = ring[next++ % SP_LEN(ring)];
    size_t left = text ? strnlen(text, QUOTED_MAX) : 0, len = 0;

    out[len++] = '"';
    while (left > 0) {
        size_t n = quote_one(text, left, out, &len);

        text += n;
        left -= n;
    }
    out[len++] = '"';
    out[len] = '\0';
    return out;
}

int sp_log_allowed(struct sp_log_rate *rate)
{
    unsigned long long now = sp_clock_mono_ms();

    if (rate->window_began_ms == 0 || now - rate->window_began_ms >= rate->window_ms) {
        rate->window_began_ms = now;
        rate->seen = 0;
    }
    if (rate->seen >= rate->burst) {
        rate->dropped++;
        return false;
    }
    rate->seen++;
    return true;
}
