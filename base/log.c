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

const char *sp_log_quoted(const char *text)
{
    static __thread char ring[8][1024];
    static __thread unsigned next;
    char *out = ring[next++ % SP_LEN(ring)];
    size_t len = 0;

    out[len++] = '"';
    for (size_t i = 0; text && text[i] && i < 400; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '"' || c == '\\')
            out[len++] = '\\';
        if (c == '\n') {
            out[len++] = '\\';
            c = 'n';
        }
        out[len++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
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
