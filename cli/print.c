#include "cli/print.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"

/* --- text ----------------------------------------------------------------------------------------
 */

/* True for C1 controls, which are two bytes in UTF-8: some terminals obey U+009B like ESC [. */
static bool is_c1(const char *s, size_t len)
{
    return len == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0;
}

static char *printable(const char *text, bool keep_tabs)
{
    SP_AUTO_BUF struct sp_buf out;
    size_t len = strlen(text);

    sp_buf_init(&out, 0);
    for (size_t i = 0; i < len;) {
        size_t n = sp_utf8_sequence(text + i, len - i);
        unsigned char c = (unsigned char)text[i];

        if (n == 0 || ((c < 0x20 || c == 0x7f) && !(keep_tabs && c == '\t')))
            (void)sp_buf_printf(&out, "\\x%02x", c);
        else if (is_c1(text + i, n))
            (void)sp_buf_printf(&out, "\\u00%02x", (unsigned char)text[i + 1]);
        else
            (void)sp_buf_append(&out, text + i, n);
        i += n ? n : 1;
    }
    return sp_buf_steal(&out, &len);
}

char *sp_cli_printable(const char *text)
{
    return printable(text, false);
}

char *sp_cli_printable_line(const char *text)
{
    return printable(text, true);
}

/* --- times and sizes -----------------------------------------------------------------------------
 */

void sp_cli_ago(const char *iso, long long now_s, char ret[SP_CLI_TIME_LEN])
{
    struct tm tm = {0};
    const char *rest = strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm);
    long long age_s = rest ? now_s - (long long)timegm(&tm) : 0;

    if (!rest)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "-");
    else if (age_s < 2)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "just now"); /* also when the clocks disagree */
    else if (age_s < 60)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%lld s ago", age_s);
    else if (age_s < 3600)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%lld min ago", age_s / 60);
    else if (age_s < 86400)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%lld h ago", age_s / 3600);
    else if (age_s < 30 * 86400)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%lld d ago", age_s / 86400);
    else
        (void)strftime(ret, SP_CLI_TIME_LEN, "%Y-%m-%d", &tm);
}

void sp_cli_ago_now(const char *iso, char ret[SP_CLI_TIME_LEN])
{
    sp_cli_ago(iso, (long long)time(NULL), ret);
}

void sp_cli_size(unsigned long long bytes, char ret[SP_CLI_SIZE_LEN])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;

    /* 999.95 would round to "1000.0" */
    while (value >= 999.95 && unit + 1 < SP_LEN(units)) {
        value /= 1000;
        unit++;
    }
    (void)snprintf(ret, SP_CLI_SIZE_LEN, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

void sp_cli_duration(double seconds, char ret[SP_CLI_TIME_LEN])
{
    if (seconds < 60)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%.1f s", seconds);
    else if (seconds < 3600)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%d min %d s", (int)(seconds / 60), (int)seconds % 60);
    else if (seconds < 1e9)
        (void)snprintf(ret, SP_CLI_TIME_LEN, "%d h %d min", (int)(seconds / 3600),
                       (int)seconds / 60 % 60);
    else
        (void)snprintf(ret, SP_CLI_TIME_LEN, "-");
}

/* --- tables --------------------------------------------------------------------------------------
 */

void sp_cli_table_init(struct sp_cli_table *table, size_t n_columns)
{
    *table = (struct sp_cli_table){.n_columns = n_columns};
}

void sp_cli_table_row(struct sp_cli_table *table, ...)
{
    va_list ap;

    if (table->n_rows == table->cap_rows) {
        table->cap_rows = table->cap_rows ? 2 * table->cap_rows : 16;
        table->cells =
            sp_realloc(table->cells, table->cap_rows * table->n_columns, sizeof(*table->cells));
    }
    va_start(ap, table);
    for (size_t i = 0; i < table->n_columns; i++) {
        const char *cell = va_arg(ap, const char *);

        table->cells[table->n_rows * table->n_columns + i] =
            sp_cli_printable(cell && *cell ? cell : "-");
    }
    va_end(ap);
    table->n_rows++;
}

/* Characters, not bytes; wide ones (emoji) are not told apart, a table may be one off there. */
static size_t width(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

void sp_cli_table_print_consume(const struct sp_cli *cli, struct sp_cli_table *table)
{
    size_t widths[SP_CLI_COLUMNS_MAX] = {0};

    for (size_t i = 0; i < table->n_rows * table->n_columns; i++) {
        size_t wide = width(table->cells[i]);
        size_t *widest = &widths[i % table->n_columns];

        *widest = wide > *widest ? wide : *widest;
    }
    for (size_t row = 0; row < table->n_rows; row++) {
        if (row == 0 && cli->colour)
            printf("\033[1m");
        for (size_t i = 0; i < table->n_columns; i++) {
            char *cell = table->cells[row * table->n_columns + i];
            bool is_last = i + 1 == table->n_columns;
            int pad = is_last ? 0 : (int)(widths[i] - width(cell)) + 2;

            printf("%s%*s", cell, pad, "");
            free(cell);
        }
        printf("%s\n", row == 0 && cli->colour ? "\033[0m" : "");
    }
    free(table->cells);
    *table = (struct sp_cli_table){0};
}

void sp_cli_field(const struct sp_cli *cli, const char *name, const char *value)
{
    SP_AUTO_FREE char *plain = value && *value ? sp_cli_printable(value) : NULL;

    if (plain)
        printf("%s%s:%s%*s%s\n", cli->colour ? "\033[1m" : "", name, cli->colour ? "\033[0m" : "",
               strlen(name) < 13 ? (int)(13 - strlen(name)) : 1, "", plain);
}

/* --- progress and Ctrl-C -------------------------------------------------------------------------
 */

static volatile sig_atomic_t line_is_open;

void sp_cli_progress(const char *fmt, ...)
{
    va_list ap;

    line_is_open = 1;
    fprintf(stderr, "\r\033[K");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fflush(stderr);
}

void sp_cli_progress_end(void)
{
    if (!line_is_open)
        return;
    line_is_open = 0;
    fprintf(stderr, "\r\033[K");
    fflush(stderr);
}

/* The default action follows, so that the shell sees a program that Ctrl-C has ended. */
static void on_interrupt(int signo)
{
    int saved = errno;

    if (line_is_open)
        (void)!write(STDERR_FILENO, "\n", 1);
    (void)signal(signo, SIG_DFL);
    (void)raise(signo);
    errno = saved;
}

void sp_cli_catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = on_interrupt};

    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

/* --- JSON ----------------------------------------------------------------------------------------
 */

bool sp_cli_print_json(const struct sp_cli *cli, const json_t *doc)
{
    if (!cli->json)
        return false;
    (void)json_dumpf(doc, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
    printf("\n");
    return true;
}

const char *sp_cli_str(const json_t *obj, const char *key)
{
    const char *value = json_string_value(json_object_get(obj, key));

    return value ? value : "";
}

long long sp_cli_int(const json_t *obj, const char *key, long long otherwise)
{
    const json_t *value = json_object_get(obj, key);

    return json_is_integer(value) ? json_integer_value(value) : otherwise;
}
