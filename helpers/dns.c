#include "helpers/dns.h"

#include <string.h>

#include "base/str.h"

#define HEAD        12
#define LABEL_MAX   63
#define RECORDS_MAX 64 /* of one answer; more are not looked at */
#define CHAIN_MAX   8  /* aliases that lead to an address */
#define JUMPS_MAX   16 /* compression pointers within one name */
#define CLASS_IN    1
#define FLAG_ANSWER 0x8000u
#define FLAG_OPCODE 0x7800u
#define FLAG_RD     0x0100u
#define FLAG_RA     0x0080u

struct reader {
    const uint8_t *data;
    size_t len, at;
};

static bool read_u16(struct reader *r, uint16_t *ret)
{
    if (r->len - r->at < 2)
        return false;
    *ret = (uint16_t)(r->data[r->at] << 8 | r->data[r->at + 1]);
    r->at += 2;
    return true;
}

static bool read_u32(struct reader *r, uint32_t *ret)
{
    uint16_t high, low;

    if (!read_u16(r, &high) || !read_u16(r, &low))
        return false;
    *ret = (uint32_t)high << 16 | low;
    return true;
}

/* The lower-case form of a byte that may be in a host's name, or 0. */
static char plain(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c + 'a' - 'A');
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')
        return (char)c;
    return 0;
}

/* Appends one label; false when it has bytes that no host's name has, or the name gets too long. */
static bool add_label(const uint8_t *label, size_t n, char *name, size_t *len)
{
    if (*len + n + 2 > 255)
        return false;
    if (*len)
        name[(*len)++] = '.';
    for (size_t i = 0; i < n; i++) {
        name[*len] = plain(label[i]);
        if (!name[(*len)++])
            return false;
    }
    return true;
}

/*
 * A name, pointers followed: each must lead further back than the one before, so it ends. The
 * reader stands behind it afterwards. A name of other bytes than a host's is false too.
 */
static bool read_name(struct reader *r, char name[256])
{
    size_t at = r->at, len = 0, jumps = 0, before = r->at;

    for (;;) {
        uint8_t n;

        if (at >= r->len)
            return false;
        n = r->data[at++];
        if (n >= 0xc0) {
            size_t to;

            if (at >= r->len)
                return false;
            to = (size_t)(n & 0x3f) << 8 | r->data[at++];
            if (jumps++ == 0)
                r->at = at;
            if (to >= before || jumps > JUMPS_MAX)
                return false;
            before = at = to;
            continue;
        }
        if (n > LABEL_MAX || r->len - at < n)
            return false;
        if (n == 0)
            break;
        if (!add_label(r->data + at, n, name, &len))
            return false;
        at += n;
    }
    if (jumps == 0)
        r->at = at;
    name[len] = '\0';
    return true;
}

struct head {
    uint16_t id, flags, questions, answers;
};

static bool read_head(struct reader *r, struct head *ret)
{
    uint16_t rest;

    return read_u16(r, &ret->id) && read_u16(r, &ret->flags) && read_u16(r, &ret->questions) &&
           read_u16(r, &ret->answers) && read_u16(r, &rest) && read_u16(r, &rest);
}

int sp_dns_read_question(const uint8_t *data, size_t len, struct sp_dns_question *ret)
{
    struct reader r = {data, len, 0};
    uint16_t class;
    struct head head;

    memset(ret, 0, sizeof(*ret));
    if (!read_head(&r, &head) || (head.flags & FLAG_ANSWER))
        return -1; /* an answer to an answer would be a loop */
    ret->id = head.id;
    ret->recursion = (head.flags & FLAG_RD) != 0;
    if (head.flags & FLAG_OPCODE)
        return SP_DNS_NOT_DONE;
    if (head.questions != 1 || head.answers != 0 || !read_name(&r, ret->name) ||
        !read_u16(&r, &ret->type) || !read_u16(&r, &class)) {
        ret->name[0] = '\0';
        return SP_DNS_FORMAT;
    }
    return class == CLASS_IN ? 0 : SP_DNS_REFUSED;
}

/* One record; of what we do not know only the place behind it. */
static bool read_record(struct reader *r, char name[256], uint16_t *type, uint32_t *ttl,
                        struct reader *data)
{
    uint16_t class, size;

    if (!read_name(r, name) || !read_u16(r, type) || !read_u16(r, &class) || !read_u32(r, ttl) ||
        !read_u16(r, &size) || r->len - r->at < size)
        return false;
    /* The data may point back into the packet, but it ends where it ends. */
    *data = (struct reader){r->data, r->at + size, r->at};
    if (class != CLASS_IN)
        *type = 0;
    r->at += size;
    return true;
}

static void lower_ttl(struct sp_dns_answer *answer, uint32_t ttl)
{
    if (ttl < answer->ttl)
        answer->ttl = ttl;
}

/*
 * Takes the records of `name` out of the answers that begin at `r`: its addresses, or the name
 * that it is an alias of. True when there is an alias to follow.
 */
static bool take_records(struct reader r, unsigned n_records, char name[256],
                         struct sp_dns_answer *ret)
{
    char owner[256], alias[256];
    bool has_alias = false;

    for (unsigned i = 0; i < n_records; i++) {
        struct reader data;
        uint32_t ttl, addr;
        uint16_t type;

        if (!read_record(&r, owner, &type, &ttl, &data))
            break;
        if (strcmp(owner, name) != 0)
            continue;
        if (type == SP_DNS_A && data.len - data.at == 4 && read_u32(&data, &addr)) {
            lower_ttl(ret, ttl);
            if (ret->n < SP_DNS_ADDRESSES)
                ret->addresses[ret->n++] = addr;
        } else if (type == SP_DNS_CNAME && !has_alias && read_name(&data, alias)) {
            lower_ttl(ret, ttl);
            has_alias = true;
        }
    }
    if (ret->n || !has_alias)
        return false;
    memcpy(name, alias, sizeof(alias));
    return true;
}

bool sp_dns_read_answer(const uint8_t *data, size_t len, const struct sp_dns_question *asked,
                        uint16_t id, struct sp_dns_answer *ret)
{
    struct reader r = {data, len, 0};
    uint16_t type, class;
    struct head head;
    char name[256];

    if (!read_head(&r, &head) || !(head.flags & FLAG_ANSWER) || head.id != id ||
        head.questions != 1 || !read_name(&r, name) || strcmp(name, asked->name) != 0 ||
        !read_u16(&r, &type) || !read_u16(&r, &class) || type != asked->type || class != CLASS_IN)
        return false;
    memset(ret, 0, sizeof(*ret));
    ret->rcode = head.flags & 15u;
    ret->ttl = UINT32_MAX;
    if (head.answers > RECORDS_MAX)
        head.answers = RECORDS_MAX;
    for (int i = 0; i < CHAIN_MAX && ret->rcode == SP_DNS_OK; i++)
        if (!take_records(r, head.answers, name, ret))
            break;
    if (ret->n == 0)
        ret->ttl = 0;
    return true;
}

/* --- writing --- */

static void put_u16(uint8_t *buf, size_t *at, unsigned value)
{
    buf[(*at)++] = (uint8_t)(value >> 8);
    buf[(*at)++] = (uint8_t)value;
}

static void put_u32(uint8_t *buf, size_t *at, uint32_t value)
{
    put_u16(buf, at, value >> 16);
    put_u16(buf, at, value & 0xffff);
}

static void put_question(uint8_t *buf, size_t *at, const struct sp_dns_question *question)
{
    struct sp_slice rest = sp_slice_str(question->name), label;

    while (rest.len && sp_slice_split(&rest, '.', &label)) {
        buf[(*at)++] = (uint8_t)label.len;
        memcpy(buf + *at, label.ptr, label.len);
        *at += label.len;
    }
    buf[(*at)++] = 0;
    put_u16(buf, at, question->type);
    put_u16(buf, at, CLASS_IN);
}

static void put_head(uint8_t *buf, size_t *at, unsigned id, unsigned flags, unsigned answers,
                     unsigned more)
{
    put_u16(buf, at, id);
    put_u16(buf, at, flags);
    put_u16(buf, at, 1);
    put_u16(buf, at, answers);
    put_u16(buf, at, 0);
    put_u16(buf, at, more);
}

size_t sp_dns_write_question(uint8_t *buf, const struct sp_dns_question *question, uint16_t id)
{
    size_t at = 0;

    put_head(buf, &at, id, FLAG_RD, 0, 1);
    put_question(buf, &at, question);
    buf[at++] = 0; /* OPT: how much we read */
    put_u16(buf, &at, 41);
    put_u16(buf, &at, SP_DNS_PACKET_MAX);
    put_u32(buf, &at, 0);
    put_u16(buf, &at, 0);
    return at;
}

size_t sp_dns_write_answer(uint8_t *buf, const struct sp_dns_question *question,
                           const struct sp_dns_answer *answer)
{
    size_t at = 0, n = answer->rcode == SP_DNS_OK ? answer->n : 0, fits;

    put_head(buf, &at, question->id,
             FLAG_ANSWER | FLAG_RA | (question->recursion ? FLAG_RD : 0) | answer->rcode, 0, 0);
    put_question(buf, &at, question);
    fits = (SP_DNS_ANSWER_MAX - at) / 16;
    if (n > fits)
        n = fits;
    buf[7] = (uint8_t)n;
    for (size_t i = 0; i < n; i++) {
        put_u16(buf, &at, 0xc000 | HEAD); /* the question's name */
        put_u16(buf, &at, SP_DNS_A);
        put_u16(buf, &at, CLASS_IN);
        put_u32(buf, &at, answer->ttl);
        put_u16(buf, &at, 4);
        put_u32(buf, &at, answer->addresses[i]);
    }
    return at;
}

bool sp_dns_is_listed(const char *name, const char *list)
{
    struct sp_slice all = sp_slice_str(list), one, n = sp_slice_str(name);

    while (all.len && sp_slice_split(&all, ',', &one)) {
        one = sp_slice_trim(one);
        if (one.len > 2 && one.ptr[0] == '*' && one.ptr[1] == '.') {
            one = sp_slice(one.ptr + 1, one.len - 1); /* ".example.net" */
            if (n.len > one.len && sp_slice_eq(sp_slice(n.ptr + n.len - one.len, one.len), one))
                return true;
        } else if (one.len && sp_slice_eq(one, n)) {
            return true;
        }
    }
    return false;
}
