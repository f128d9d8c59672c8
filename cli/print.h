/* cli/print.h - what people see: tables, times, sizes, progress; and nothing a stranger's bytes
 * could do to a terminal. */
#ifndef SP_CLI_PRINT_H
#define SP_CLI_PRINT_H

#include <jansson.h>
#include <stddef.h>

#include "cli/cli.h"

/*
 * The text with control characters (C0, DEL, C1) and bytes that are not UTF-8 written as \xNN or
 * \u0085, so that it moves no cursor. Yours.
 */
char *sp_cli_printable(const char *text);
/* The same for one line of a log, where a tab is let through. */
char *sp_cli_printable_line(const char *text);

/* "just now", "12 s ago", "2 min ago", "3 h ago", "5 d ago", or the date; of
 * "2026-08-01T12:34:56.789Z". */
#define SP_CLI_TIME_LEN 32
void sp_cli_ago(const char *iso, long long now_s, char ret[SP_CLI_TIME_LEN]);
void sp_cli_ago_now(const char *iso, char ret[SP_CLI_TIME_LEN]);

/* "512 B", "1.5 MB"; powers of 1000. */
#define SP_CLI_SIZE_LEN 24
void sp_cli_size(unsigned long long bytes, char ret[SP_CLI_SIZE_LEN]);
/* "4.2 s", "3 min 5 s". */
void sp_cli_duration(double seconds, char ret[SP_CLI_TIME_LEN]);

/* A table: rows of cells, each as wide as its widest; the last column is not padded. */
#define SP_CLI_COLUMNS_MAX 8
struct sp_cli_table {
    size_t n_columns;
    size_t n_rows;
    size_t cap_rows;
    char **cells;
};
void sp_cli_table_init(struct sp_cli_table *table, size_t n_columns);
/* Takes n_columns strings, copied and made printable; NULL is "-". */
void sp_cli_table_row(struct sp_cli_table *table, ...);
/* Prints and frees. The first row is the heading. */
void sp_cli_table_print_consume(const struct sp_cli *cli, struct sp_cli_table *table);

/* "key:  value" of a page like `spaces show`; prints nothing for NULL or "". */
void sp_cli_field(const struct sp_cli *cli, const char *name, const char *value);

/* One line on stderr that is written over; sp_cli_progress_end leaves an empty line to go on with.
 * Only to be called when stderr is a terminal; the end always may. */
void sp_cli_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void sp_cli_progress_end(void);

/* Ctrl-C leaves the terminal with a line of its own and ends the program as Ctrl-C does. */
void sp_cli_catch_interrupt(void);

/* -o json: prints the document. Returns true when that was wanted, and nothing else is to be
 * printed. */
bool sp_cli_print_json(const struct sp_cli *cli, const json_t *doc);

/* Reading answers: the field, or "" / `otherwise` when it is absent or something else. */
const char *sp_cli_str(const json_t *obj, const char *key);
long long sp_cli_int(const json_t *obj, const char *key, long long otherwise);

#endif
