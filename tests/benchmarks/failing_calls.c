/* Let the n-th system call that concerns a folder fail; preloaded by failing_calls.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAIL_ONCE, FAIL_FROM_THEN_ON, SHORT_WRITE };

static char folder[PATH_MAX];
static int calls, failing_call, mode;

/* Count the calls below a folder from now on. Call number n fails; none if n is 0. */
void ngate_fail_call(const char *path, int n, int how) {
    snprintf(folder, sizeof folder, "%s", path);
    failing_call = n;
    mode = how;
    calls = 0;
}

int ngate_count_calls(void) { return calls; }

static int is_below(const char *path) {
    return *folder && path && !strncmp(path, folder, strlen(folder));
}

static int is_open_below(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!*folder) return 0;
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* Return whether the current call fails. Only a full disk stays as it is, and only for writing. */
static int fails(int concerned, int is_write, int error) {
    if (!concerned) return 0;
    int number = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (!failing_call || (mode != FAIL_ONCE && !is_write)) return 0;
    if (number != failing_call && !(mode == FAIL_FROM_THEN_ON && number > failing_call)) return 0;
    errno = error;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define DEFINE_OPEN(name)                                            \
    int name(const char *path, int flags, ...) {                     \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        int permissions = va_arg(rest, int);                         \
        va_end(rest);                                                \
        if (fails(is_below(path), 0, EIO)) return -1;                \
        return REAL(name)(path, flags, permissions);                 \
    }
DEFINE_OPEN(open)
DEFINE_OPEN(open64)

ssize_t write(int descriptor, const void *data, size_t size) {
    if (fails(is_open_below(descriptor), 1, ENOSPC)) {
        if (mode != SHORT_WRITE || size < 2) return -1;
        size /= 2;
    }
    return REAL(write)(descriptor, data, size);
}

int close(int descriptor) {
    int failed = fails(is_open_below(descriptor), 0, EIO);
    int result = REAL(close)(descriptor);
    if (failed) errno = EIO;
    return failed ? -1 : result;
}

#define DEFINE_ON_DESCRIPTOR(name, ...)                              \
    if (fails(is_open_below(descriptor), 0, EIO)) return -1;         \
    return REAL(name)(descriptor, ##__VA_ARGS__)

int fsync(int descriptor) { DEFINE_ON_DESCRIPTOR(fsync); }
int fchmod(int descriptor, mode_t bits) { DEFINE_ON_DESCRIPTOR(fchmod, bits); }
int ftruncate(int descriptor, off_t size) { DEFINE_ON_DESCRIPTOR(ftruncate, size); }
int ftruncate64(int descriptor, off64_t size) { DEFINE_ON_DESCRIPTOR(ftruncate64, size); }

#define DEFINE_ON_PATH(name, ...)                                    \
    if (fails(is_below(path), 0, EIO)) return -1;                    \
    return REAL(name)(path, ##__VA_ARGS__)

int rename(const char *path, const char *new) { DEFINE_ON_PATH(rename, new); }
int link(const char *path, const char *new) { DEFINE_ON_PATH(link, new); }
int unlink(const char *path) { DEFINE_ON_PATH(unlink); }
int mkdir(const char *path, mode_t bits) { DEFINE_ON_PATH(mkdir, bits); }
int chmod(const char *path, mode_t bits) { DEFINE_ON_PATH(chmod, bits); }
