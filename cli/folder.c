#include "cli/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define FILES_MAX 100000

/* Copies and locks that lie beside a file while it is edited: vi's, Emacs' and everybody's. */
static bool is_of_an_editor(const char *name)
{
    struct sp_slice slice = sp_slice_str(name);

    return sp_slice_ends(slice, "~") || (*name == '#' && sp_slice_ends(slice, "#")) ||
           strncmp(name, ".#", 2) == 0 ||
           (*name == '.' && (sp_slice_ends(slice, ".swp") || sp_slice_ends(slice, ".swx")));
}

bool sp_cli_is_left_out(const char *name)
{
    static const char *const names[] = {".", "..", ".git", "__pycache__", ".venv", "node_modules"};

    for (size_t i = 0; i < SP_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return sp_slice_ends(sp_slice_str(name), ".pyc") || is_of_an_editor(name);
}

static void add_file(struct sp_cli_folder *folder, const char *dir, const char *name, off_t size)
{
    if ((folder->n_files & (folder->n_files - 1)) == 0) /* grows at each power of two */
        folder->files = sp_realloc(folder->files, folder->n_files ? 2 * folder->n_files : 1,
                                   sizeof(*folder->files));
    folder->files[folder->n_files++] = (struct sp_cli_file){
        .disk_path = sp_asprintf("%s/%s", dir, name),
        .name = sp_strdup(name),
        .size = (unsigned long long)size,
    };
    folder->bytes += (unsigned long long)size;
}

static int walk(struct sp_cli_folder *folder, const char *dir, const char *prefix, int depth,
                struct sp_error *err);

static int take_entry(struct sp_cli_folder *folder, const char *dir, const char *name, int depth,
                      struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/%s", dir, name);
    struct stat st;

    if (lstat(path, &st) < 0)
        return sp_error_set(err, SP_ERR_INVALID, -errno, "read '%s'", path);
    if (S_ISDIR(st.st_mode)) {
        SP_AUTO_FREE char *prefix = sp_asprintf("%s/", name);

        return walk(folder, dir, prefix, depth + 1, err);
    }
    if (S_ISLNK(st.st_mode))
        return sp_error_set(err, SP_ERR_INVALID, 0,
                            "'%s' is a symbolic link: put the file itself there", name);
    if (!S_ISREG(st.st_mode))
        return sp_error_set(err, SP_ERR_INVALID, 0, "'%s' is neither a file nor a folder", name);
    if (folder->n_files == FILES_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "the folder has over %d files", FILES_MAX);
    if (access(path, R_OK) < 0) /* before the upload, not in the middle of it */
        return sp_error_set(err, SP_ERR_DENIED, -errno, "read '%s'", name);
    add_file(folder, dir, name, st.st_size);
    return 0;
}

static void auto_closedir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* `prefix` is "" or ends with a slash. */
static int walk(struct sp_cli_folder *folder, const char *dir, const char *prefix, int depth,
                struct sp_error *err)
{
    SP_AUTO_FREE char *path = sp_asprintf("%s/%s", dir, prefix);
    __attribute__((cleanup(auto_closedir))) DIR *list = NULL;
    struct dirent *entry;

    if (depth > SP_CLI_FOLDER_DEPTH_MAX)
        return sp_error_set(err, SP_ERR_LIMIT, 0, "'%s' is over %d folders deep", prefix,
                            SP_CLI_FOLDER_DEPTH_MAX);
    list = opendir(path);
    if (!list)
        return sp_error_set(err, errno == ENOENT ? SP_ERR_NOT_FOUND : SP_ERR_INVALID, -errno,
                            "read '%s'", *prefix ? prefix : dir);
    while ((entry = readdir(list))) {
        SP_AUTO_FREE char *name = NULL;
        int r;

        if (sp_cli_is_left_out(entry->d_name))
            continue;
        name = sp_asprintf("%s%s", prefix, entry->d_name);
        r = take_entry(folder, dir, name, depth, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct sp_cli_file *x = a;
    const struct sp_cli_file *y = b;

    return strcmp(x->name, y->name);
}

int sp_cli_folder_read(const char *dir, struct sp_cli_folder *ret, struct sp_error *err)
{
    int r;

    *ret = (struct sp_cli_folder){0};
    r = walk(ret, dir, "", 0, err);
    if (r == 0 && ret->n_files == 0)
        r = sp_error_set(err, SP_ERR_INVALID, 0, "there is nothing to deploy in '%s'", dir);
    if (r == 0)
        qsort(ret->files, ret->n_files, sizeof(*ret->files), by_name);
    return r;
}

void sp_cli_folder_done(struct sp_cli_folder *folder)
{
    for (size_t i = 0; i < folder->n_files; i++) {
        free(folder->files[i].disk_path);
        free(folder->files[i].name);
    }
    free(folder->files);
    *folder = (struct sp_cli_folder){0};
}
