#include "runtime/state/journal-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/fd.h"
#include "base/mem.h"

#define RESERVE_NAME  "reserve"
#define RESERVE_BYTES (256 * 1024)

/* --- names ------------------------------------------------------------------------------------ */

void journal_segment_name(uint64_t number, char ret[JOURNAL_NAME_SIZE])
{
    (void)snprintf(ret, JOURNAL_NAME_SIZE, "%016llx.seg", (unsigned long long)number);
}

void journal_payload_name(uint64_t number, char ret[JOURNAL_NAME_SIZE])
{
    (void)snprintf(ret, JOURNAL_NAME_SIZE, "%016llx.data", (unsigned long long)number);
}

enum journal_name journal_name_parse(const char *name, uint64_t *ret_number)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = 0;

    if (strspn(name, digits) != 16 || name[16] != '.')
        return JOURNAL_NAME_OTHER;
    for (size_t i = 0; i < 16; i++)
        number = number << 4 | (uint64_t)(strchr(digits, name[i]) - digits);
    *ret_number = number;
    if (strcmp(name + 16, ".seg") == 0)
        return JOURNAL_NAME_SEGMENT;
    return strcmp(name + 16, ".data") == 0 ? JOURNAL_NAME_PAYLOAD : JOURNAL_NAME_OTHER;
}

/* --- segments --------------------------------------------------------------------------------- */

static struct journal_segment *segment_new(uint64_t number, int take_fd)
{
    struct journal_segment *segment = sp_new0(struct journal_segment);

    sp_list_init(&segment->node);
    sp_list_init(&segment->entries);
    segment->number = number;
    segment->size = JOURNAL_SEGMENT_HEAD;
    segment->fd = take_fd;
    return segment;
}

/* The file with its head and its name in the folder, all on the disk, or nothing. */
static int create_file(int dir_fd, const char *name, const uint8_t *head, int *ret_fd)
{
    SP_AUTO_FD int fd =
        openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
    int r;

    if (fd < 0)
        return -errno;
    r = sp_write_all(fd, head, JOURNAL_SEGMENT_HEAD);
    if (r == 0 && (fdatasync(fd) < 0 || fsync(dir_fd) < 0))
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, name, 0);
    else
        *ret_fd = SP_TAKE_FD(fd);
    return r;
}

int journal_segment_create(int dir_fd, uint64_t number, uint64_t first_seq,
                           struct journal_segment **ret, struct sp_error *err)
{
    uint8_t head[JOURNAL_SEGMENT_HEAD];
    char name[JOURNAL_NAME_SIZE];
    int fd = -1;
    int r;

    journal_segment_name(number, name);
    journal_segment_head(number, first_seq, head);
    r = create_file(dir_fd, name, head, &fd);
    if (r < 0)
        return sp_error_set(err, r == -ENOSPC ? SP_ERR_UNAVAILABLE : SP_ERR_INTERNAL, r,
                            "make '%s' of the journal", name);
    *ret = segment_new(number, fd);
    return 0;
}

int journal_segment_open(int dir_fd, uint64_t number, uint64_t *ret_first_seq,
                         struct journal_segment **ret, struct sp_error *err)
{
    uint8_t head[JOURNAL_SEGMENT_HEAD];
    char name[JOURNAL_NAME_SIZE];
    SP_AUTO_FD int fd = -1;
    uint64_t said = 0;
    int r;

    journal_segment_name(number, name);
    fd = openat(dir_fd, name, O_RDWR | O_CLOEXEC | O_APPEND | O_NOFOLLOW);
    if (fd < 0)
        return sp_error_set(err, SP_ERR_INTERNAL, -errno, "open '%s' of the journal", name);
    if (pread(fd, head, sizeof(head), 0) != sizeof(head))
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' of the journal has no whole head", name);
    if ((r = journal_segment_head_parse(head, &said, ret_first_seq, err)) < 0) {
        (void)sp_error_wrap(err, "'%s'", name);
        return r;
    }
    if (said != number)
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' of the journal says it is number %llu",
                            name, (unsigned long long)said);
    *ret = segment_new(number, SP_TAKE_FD(fd));
    return 0;
}

void journal_segment_close(struct journal_segment *segment)
{
    if (!segment)
        return;
    sp_list_remove(&segment->node);
    sp_auto_fd(&segment->fd);
    free(segment);
}

void journal_segment_unlink(int dir_fd, uint64_t number)
{
    char name[JOURNAL_NAME_SIZE];

    journal_segment_name(number, name);
    (void)unlinkat(dir_fd, name, 0);
}

/* Writes all vectors, going on after a short write. */
static int write_vectors(int fd, struct iovec *vecs, size_t n)
{
    while (n) {
        ssize_t wrote = writev(fd, vecs, n > 512 ? 512 : (int)n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        while (n && (size_t)wrote >= vecs->iov_len) {
            wrote -= (ssize_t)vecs->iov_len;
            vecs++;
            n--;
        }
        if (n) {
            vecs->iov_base = (char *)vecs->iov_base + wrote;
            vecs->iov_len -= (size_t)wrote;
        }
    }
    return 0;
}

int journal_segment_write(struct journal_segment *segment, struct iovec *vecs, size_t n)
{
    uint64_t size = 0;
    int r;

    for (size_t i = 0; i < n; i++)
        size += vecs[i].iov_len;
    r = sp_fault("journal.write") ? -ENOSPC : write_vectors(segment->fd, vecs, n);
    if (r < 0) {
        /* Half a record must not stand where the next one begins. */
        if (ftruncate(segment->fd, (off_t)segment->size) < 0)
            return -EIO;
        return r;
    }
    segment->size += size;
    return 0;
}

int journal_segment_read(const struct journal_segment *segment, uint64_t offset, size_t size,
                         uint8_t **ret_bytes, struct journal_record *ret, struct sp_error *err)
{
    SP_AUTO_FREE uint8_t *bytes = malloc(size + 1);
    size_t len = 0;

    if (!bytes)
        return sp_error_set(err, SP_ERR_UNAVAILABLE, -ENOMEM, "read the journal");
    while (len < size) {
        ssize_t n = pread(segment->fd, bytes + len, size - len, (off_t)(offset + len));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sp_error_set(err, SP_ERR_INTERNAL, n < 0 ? -errno : -EIO, "read the journal");
        len += (size_t)n;
    }
    if (journal_record_parse(bytes, size, ret) != JOURNAL_WHOLE)
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): clang-tidy 14 does not know the cleanup. */
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "read the journal: a record is damaged");
    *ret_bytes = SP_TAKE(bytes);
    return 0;
}

/* --- the reserve ------------------------------------------------------------------------------ */

bool journal_reserve_make(int dir_fd)
{
    SP_AUTO_FD int fd =
        openat(dir_fd, RESERVE_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    /* Real blocks, not a hole. */
    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) == 0)
        return true;
    journal_reserve_release(dir_fd);
    return false;
}

void journal_reserve_release(int dir_fd)
{
    (void)unlinkat(dir_fd, RESERVE_NAME, 0);
}

/* --- large payloads --------------------------------------------------------------------------- */

int journal_payload_write(int dir_fd, uint64_t file, struct sp_slice data, bool sync)
{
    char name[JOURNAL_NAME_SIZE];
    SP_AUTO_FD int fd = -1;
    int r;

    journal_payload_name(file, name);
    fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    r = sp_fault("journal.payload") ? -ENOSPC : sp_write_all(fd, data.ptr, data.len);
    if (r == 0 && sync && fdatasync(fd) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dir_fd, name, 0);
    return r;
}

int journal_payload_read(int dir_fd, uint64_t file, size_t len, uint32_t crc, char **ret,
                         struct sp_error *err)
{
    SP_AUTO_FREE char *data = NULL;
    char name[JOURNAL_NAME_SIZE];
    size_t got = 0;
    int r;

    journal_payload_name(file, name);
    if ((r = sp_file_read(dir_fd, name, len, &data, &got, err)) < 0)
        return r;
    if (got != len || journal_crc32c(0, data, got) != crc)
        return sp_error_set(err, SP_ERR_INTERNAL, -EIO, "'%s' of the journal is damaged", name);
    *ret = SP_TAKE(data);
    return 0;
}

void journal_payload_unlink(int dir_fd, uint64_t file)
{
    char name[JOURNAL_NAME_SIZE];

    if (file == 0)
        return;
    journal_payload_name(file, name);
    (void)unlinkat(dir_fd, name, 0);
}
