#include "runtime/state/card.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include <yaml.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/utf8.h"

#define FRONT_MATTER_MAX ((size_t)64 * 1024)
#define DEPTH_MAX        16
#define EVENTS_MAX       20000 /* 64 KiB cannot need more than a few thousand */

enum value_kind {
    TEXT,      /* one line of UTF-8 without control characters */
    COLOR,     /* one of the eight */
    FILE_PATH, /* relative, no ".." */
    ENGINE,
    VERSION, /* digits and points */
    WORD,    /* lower-case letters, digits, "_.-" */
};

/* Every key that we read; the others are somebody else's. */
static const struct field {
    const char *key;
    enum value_kind kind;
    size_t offset;
    size_t size;
    const char *expected;
} fields[] = {
#define FIELD(key, kind, member, expected)                                                         \
    {                                                                                              \
        key, kind, offsetof(struct sp_card, member), sizeof(((struct sp_card *)0)->member),        \
            expected                                                                               \
    }
    FIELD("title", TEXT, title, "a short text"),
    FIELD("emoji", TEXT, emoji, "a short text"),
    FIELD("colorFrom", COLOR, color_from,
          "one of red, yellow, green, blue, indigo, purple, pink, gray"),
    FIELD("colorTo", COLOR, color_to,
          "one of red, yellow, green, blue, indigo, purple, pink, gray"),
    FIELD("sdk", WORD, sdk, "a word such as gradio"),
    FIELD("app_file", FILE_PATH, app_file, "a relative path without '..'"),
    FIELD("license", TEXT, license, "a short text"),
    FIELD("short_description", TEXT, short_description, "a short text"),
    FIELD("gradio", ENGINE, engine, "builtin or pip"),
    FIELD("base", WORD, base, "a base's name such as debian-12"),
    FIELD("python_version", VERSION, python_version, "a version such as 3.11"),
#undef FIELD
};

struct reader {
    yaml_parser_t parser;
    size_t line_offset; /* lines of the file before the YAML text */
    unsigned events;
    uint32_t seen; /* bit i: fields[i] was given */
};

static void reader_done(struct reader *reader)
{
    yaml_parser_delete(&reader->parser);
}
#define AUTO_READER __attribute__((cleanup(reader_done)))

static void auto_event(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define AUTO_EVENT __attribute__((cleanup(auto_event)))

/* --- the front matter ------------------------------------------------------------------------- */

static struct sp_slice take_line(struct sp_slice *rest)
{
    struct sp_slice line = {0};

    (void)sp_slice_split(rest, '\n', &line);
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/*
 * The text between a first line "---" and the next; no front matter is an empty one. A file that
 * opens one and never closes it is refused: half a card is a mistake, not a wish.
 */
static int find_front_matter(struct sp_slice readme, struct sp_slice *ret, struct sp_error *err)
{
    struct sp_slice rest = readme;
    const char *begin;

    if (sp_slice_starts(rest, "\xef\xbb\xbf")) /* a byte order mark, as some editors write */
        rest = sp_slice(rest.ptr + 3, rest.len - 3);
    *ret = (struct sp_slice){0};
    if (!sp_slice_eq_str(sp_slice_trim(take_line(&rest)), "---"))
        return 0;
    begin = rest.ptr;
    while (rest.ptr) {
        const char *at = rest.ptr;

        if ((size_t)(at - begin) > FRONT_MATTER_MAX)
            return sp_error_set(err, SP_ERR_LIMIT, 0, "README.md: front matter over %zu bytes",
                                FRONT_MATTER_MAX);
        if (!sp_slice_eq_str(sp_slice_trim(take_line(&rest)), "---"))
            continue;
        *ret = sp_slice(begin, (size_t)(at - begin));
        return 0;
    }
    return sp_error_set(err, SP_ERR_INVALID, 0,
                        "README.md:1: the front matter has no closing line '---'");
}

/* --- values ----------------------------------------------------------------------------------- */

static bool all_of(struct sp_slice s, const char *more)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr(more, c)))
            return false;
    }
    return s.len > 0;
}

static bool one_of(struct sp_slice s, const char *const *words)
{
    for (; *words; words++)
        if (sp_slice_eq_str(s, *words))
            return true;
    return false;
}

static bool text_valid(struct sp_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
            return false;
    return sp_utf8_valid(s.ptr, s.len);
}

static bool path_valid(struct sp_slice s)
{
    struct sp_slice rest = s;
    struct sp_slice part;

    if (s.len == 0 || !text_valid(s))
        return false;
    while (sp_slice_split(&rest, '/', &part))
        if (part.len == 0 || sp_slice_eq_str(part, ".") || sp_slice_eq_str(part, ".."))
            return false;
    return true;
}

static bool version_valid(struct sp_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((s.ptr[i] < '0' || s.ptr[i] > '9') && s.ptr[i] != '.')
            return false;
    return s.len > 0;
}

static bool value_valid(enum value_kind kind, struct sp_slice s)
{
    static const char *const colors[] = {"red",    "yellow", "green", "blue", "indigo",
                                         "purple", "pink",   "gray",  NULL};
    static const char *const engines[] = {"builtin", "pip", NULL};

    switch (kind) {
    case TEXT: return text_valid(s);
    case COLOR: return one_of(s, colors);
    case FILE_PATH: return path_valid(s);
    case ENGINE: return one_of(s, engines);
    case VERSION: return version_valid(s);
    case WORD: return all_of(s, "_.-");
    }
    return false;
}

/* --- YAML ------------------------------------------------------------------------------------- */

static unsigned long line_of(const struct reader *reader, const yaml_mark_t *mark)
{
    return (unsigned long)(mark->line + 1 + reader->line_offset);
}

static int refuse(const struct reader *reader, const yaml_mark_t *mark, struct sp_error *err,
                  const char *key, const char *what)
{
    return sp_error_set(err, SP_ERR_INVALID, 0, "README.md:%lu: %s%s%s", line_of(reader, mark), key,
                        *key ? ": " : "", what);
}

/* libyaml reports some errors without a place of their own; then the problem's mark is zero. */
static int yaml_error(struct reader *reader, struct sp_error *err)
{
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "not readable";

    if (parser->error == YAML_MEMORY_ERROR)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read README.md");
    return sp_error_set(err, SP_ERR_INVALID, 0, "README.md:%lu: not valid YAML: %s",
                        line_of(reader, &parser->problem_mark), problem);
}

/* The next event, with what all of them are refused for. The caller deletes it. */
static int next_event(struct reader *reader, yaml_event_t *ret, struct sp_error *err)
{
    bool anchored;

    if (!yaml_parser_parse(&reader->parser, ret)) {
        memset(ret, 0, sizeof(*ret));
        return yaml_error(reader, err);
    }
    if (++reader->events > EVENTS_MAX)
        return refuse(reader, &ret->start_mark, err, "", "too many values");
    anchored = ret->type == YAML_ALIAS_EVENT ||
               (ret->type == YAML_SCALAR_EVENT && ret->data.scalar.anchor) ||
               (ret->type == YAML_SEQUENCE_START_EVENT && ret->data.sequence_start.anchor) ||
               (ret->type == YAML_MAPPING_START_EVENT && ret->data.mapping_start.anchor);
    if (anchored) /* aliases of aliases are how a small card becomes a large one */
        return refuse(reader, &ret->start_mark, err, "", "anchors and aliases are not supported");
    return 0;
}

/* How an event changes the depth. */
static int depth_change(yaml_event_type_t type)
{
    if (type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT)
        return 1;
    if (type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT)
        return -1;
    return 0;
}

/* Reads on until the value whose first event is `first` is over. */
static int skip_value(struct reader *reader, const yaml_event_t *first, struct sp_error *err)
{
    int depth = depth_change(first->type);

    while (depth > 0) {
        AUTO_EVENT yaml_event_t event = {0};
        int r = next_event(reader, &event, err);

        if (r < 0)
            return r;
        depth += depth_change(event.type);
        if (depth > DEPTH_MAX)
            return refuse(reader, &event.start_mark, err, "", "nested too deeply");
    }
    return 0;
}

static struct sp_slice scalar_text(const yaml_event_t *event)
{
    return sp_slice((const char *)event->data.scalar.value, event->data.scalar.length);
}

/* "title:" and "title: null" mean that nothing was said. */
static bool is_null(const yaml_event_t *event)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};

    return event->type == YAML_SCALAR_EVENT &&
           event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && one_of(scalar_text(event), nulls);
}

static int set_field(struct reader *reader, const struct field *field, const yaml_event_t *event,
                     struct sp_card *card, struct sp_error *err)
{
    struct sp_slice text;
    char *to = (char *)card + field->offset;
    char what[160];

    if (is_null(event))
        return 0;
    (void)snprintf(what, sizeof(what), "expected %s", field->expected);
    if (event->type != YAML_SCALAR_EVENT)
        return refuse(reader, &event->start_mark, err, field->key, what);
    text = scalar_text(event);
    while (text.len && text.ptr[text.len - 1] == '\n') /* "key: >" ends with one */
        text.len--;
    text = sp_slice_trim(text);
    if (!value_valid(field->kind, text))
        return refuse(reader, &event->start_mark, err, field->key, what);
    if (text.len >= field->size) {
        (void)snprintf(what, sizeof(what), "longer than %zu bytes", field->size - 1);
        return refuse(reader, &event->start_mark, err, field->key, what);
    }
    memcpy(to, text.ptr, text.len);
    to[text.len] = '\0';
    return 0;
}

static const struct field *find_field(const yaml_event_t *key)
{
    for (size_t i = 0; key->type == YAML_SCALAR_EVENT && i < SP_LEN(fields); i++)
        if (sp_slice_eq_str(scalar_text(key), fields[i].key))
            return &fields[i];
    return NULL;
}

/* One "key: value" of the top level; `key` has been read. */
static int read_pair(struct reader *reader, const yaml_event_t *key, struct sp_card *card,
                     struct sp_error *err)
{
    const struct field *field = find_field(key);
    AUTO_EVENT yaml_event_t value = {0};
    int r;

    if (field && reader->seen & 1u << (field - fields))
        return refuse(reader, &key->start_mark, err, field->key, "given twice");
    if (field)
        reader->seen |= 1u << (field - fields);
    if ((r = skip_value(reader, key, err)) < 0 || (r = next_event(reader, &value, err)) < 0)
        return r;
    if (field && (r = set_field(reader, field, &value, card, err)) < 0)
        return r;
    return skip_value(reader, &value, err);
}

/* Skips the starts of stream and document; `*ret_empty` when there is nothing in them. */
static int enter_mapping(struct reader *reader, bool *ret_empty, struct sp_error *err)
{
    for (;;) {
        AUTO_EVENT yaml_event_t event = {0};
        int r = next_event(reader, &event, err);

        if (r < 0)
            return r;
        if (event.type == YAML_STREAM_START_EVENT || event.type == YAML_DOCUMENT_START_EVENT)
            continue;
        *ret_empty = event.type == YAML_STREAM_END_EVENT || is_null(&event);
        if (*ret_empty || event.type == YAML_MAPPING_START_EVENT)
            return 0;
        return refuse(reader, &event.start_mark, err, "",
                      "expected lines of the form 'key: value'");
    }
}

static int read_mapping(struct reader *reader, struct sp_card *card, struct sp_error *err)
{
    bool empty = false;
    int r = enter_mapping(reader, &empty, err);

    while (r == 0 && !empty) {
        AUTO_EVENT yaml_event_t key = {0};

        if ((r = next_event(reader, &key, err)) < 0 || key.type == YAML_MAPPING_END_EVENT)
            return r;
        r = read_pair(reader, &key, card, err);
    }
    return r;
}

int sp_card_parse(struct sp_slice readme, struct sp_card *ret, struct sp_error *err)
{
    struct sp_card card = {.sdk = "gradio", .app_file = "app.py"};
    AUTO_READER struct reader reader = {.line_offset = 1};
    struct sp_slice yaml;
    int r;

    if (!yaml_parser_initialize(&reader.parser))
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read README.md");
    if ((r = find_front_matter(readme, &yaml, err)) < 0)
        return r;
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)(yaml.len ? yaml.ptr : ""),
                                 yaml.len);
    if ((r = read_mapping(&reader, &card, err)) < 0)
        return r;
    *ret = card;
    return 0;
}
