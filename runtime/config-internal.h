/* runtime/config-internal.h - the table of settings, shared by config.c and config_table.c. */
#ifndef SP_RUNTIME_CONFIG_INTERNAL_H
#define SP_RUNTIME_CONFIG_INTERNAL_H

#include <stdint.h>

struct sp_error;

enum sp_config_type {
    SP_CONFIG_STR,
    SP_CONFIG_BOOL,
    SP_CONFIG_INT,
    SP_CONFIG_SIZE,     /* bytes */
    SP_CONFIG_DURATION, /* ms */
};

struct sp_config_row {
    const char *name;
    enum sp_config_type type;
    const char *def; /* in the form that a person would write */
    /* Bounds of numbers. A string has at most `max` bytes. */
    uint64_t min, max;
    /* A word that stands for a number: "none" -> 0, or "auto" -> resolve(). NULL for no such word.
     */
    const char *word;
    uint64_t (*resolve)(void); /* NULL: the word means 0 */
    const char *help;
    /* For texts with a form of their own: 0, or an error that says what is expected. */
    int (*check)(const char *text, struct sp_error *err);
    const char
        *test; /* of tests/: what reaches the limit; tools/lint.py looks whether it is there */
};

extern const struct sp_config_row sp_config_rows[];
extern const unsigned sp_config_n_rows;

#endif
