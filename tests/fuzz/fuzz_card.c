/* Any bytes as a README.md; what is accepted must keep the promises of runtime/state/card.h. */
#include "runtime/state/card.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

/* Terminated, UTF-8, without control characters. */
static void check_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    CHECK(len < size);
    CHECK(sp_utf8_valid(text, len));
    for (size_t i = 0; i < len; i++)
        CHECK((unsigned char)text[i] >= 0x20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sp_card card = {0};
    struct sp_error err = {0};

    if (sp_card_parse(sp_slice((const char *)data, size), &card, &err) < 0) {
        CHECK(err.kind == SP_ERR_INVALID || err.kind == SP_ERR_LIMIT);
        CHECK(strncmp(err.msg, "README.md", 9) == 0);
        CHECK(card.sdk[0] == '\0'); /* untouched */
        return 0;
    }
    check_text(card.title, sizeof(card.title));
    check_text(card.emoji, sizeof(card.emoji));
    check_text(card.license, sizeof(card.license));
    check_text(card.short_description, sizeof(card.short_description));
    check_text(card.app_file, sizeof(card.app_file));
    CHECK(card.sdk[0] && card.app_file[0] && card.app_file[0] != '/');
    CHECK(strcmp(card.app_file, "..") != 0 && strncmp(card.app_file, "../", 3) != 0 &&
          !strstr(card.app_file, "/../"));
    CHECK(!card.engine[0] || strcmp(card.engine, "builtin") == 0 ||
          strcmp(card.engine, "pip") == 0);
    return 0;
}
