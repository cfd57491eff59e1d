/* A preloaded library that counts the calls that change files under a folder, and injects a fault
   at the n-th.

   fault_arm(folder, n, mode) starts counting. fault_calls() returns the number of calls, and
   fault_kinds() a letter per call: w write, s sync, r rename, t truncate, u unlink, o open that may
   create. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum mode { COUNT, KILL_BEFORE, KILL_AFTER, FAIL, FULL, HALF_AND_KILL, HALF, FAIL_FROM, FULL_FROM };

static char folder[PATH_MAX];
static size_t folder_length;
static long calls, chosen;
static enum mode mode;
static char kinds[1 << 16];

void fault_arm(const char *path, long n, int how) {
    folder_length = strlen(path);
    memcpy(folder, path, folder_length + 1);
    calls = 0;
    chosen = n;
    mode = (enum mode)how;
}

long fault_calls(void) { return calls; }
const char *fault_kinds(void) { return kinds; }

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
}

static int under(const char *path) {
    return folder_length && !strncmp(path, folder, folder_length) && path[folder_length] == '/';
}

static int fd_under(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder_length) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return under(path);
}

/* Count a call, and return its fault: COUNT for none, FAIL with errno set, KILL_AFTER,
   HALF_AND_KILL or HALF. */
static enum mode next_fault(char kind) {
    long number = __sync_add_and_fetch(&calls, 1);
    if ((size_t)number < sizeof kinds) kinds[number - 1] = kind;
    int needs_space = kind == 'w' || kind == 'o' || kind == 't';
    if (mode == FAIL_FROM && number >= chosen) { errno = EIO; return FAIL; }
    if (mode == FULL_FROM && number >= chosen && needs_space) { errno = ENOSPC; return FAIL; }
    if (number != chosen) return COUNT;
    switch (mode) {
        case KILL_BEFORE: die(); return COUNT;
        case FAIL: errno = EIO; return FAIL;
        case FULL: errno = ENOSPC; return FAIL;
        case KILL_AFTER: case HALF_AND_KILL: case HALF: return mode;
        default: return COUNT;
    }
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define CALL(concerns, kind, type, call)                    \
    do {                                                    \
        if (!(concerns)) return call;                       \
        enum mode what = next_fault(kind);                        \
        if (what == FAIL) return -1;                        \
        type result = call;                                 \
        if (what == KILL_AFTER) die();                      \
        return result;                                      \
    } while (0)

#define WRITE(size, call)                                   \
    do {                                                    \
        if (!fd_under(fd)) return call;                     \
        enum mode what = next_fault('w');                         \
        if (what == FAIL) return -1;                        \
        if (what == HALF_AND_KILL || (what == HALF && size > 1)) size /= 2; \
        ssize_t result = call;                              \
        if (what == KILL_AFTER || what == HALF_AND_KILL) die(); \
        return result;                                      \
    } while (0)

ssize_t write(int fd, const void *data, size_t size) { WRITE(size, REAL(write)(fd, data, size)); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    WRITE(size, REAL(pwrite)(fd, data, size, at));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    WRITE(size, REAL(pwrite64)(fd, data, size, at));
}

int fsync(int fd) { CALL(fd_under(fd), 's', int, REAL(fsync)(fd)); }
int fdatasync(int fd) { CALL(fd_under(fd), 's', int, REAL(fdatasync)(fd)); }
int ftruncate(int fd, off_t size) { CALL(fd_under(fd), 't', int, REAL(ftruncate)(fd, size)); }
int ftruncate64(int fd, off64_t size) { CALL(fd_under(fd), 't', int, REAL(ftruncate64)(fd, size)); }
int rename(const char *from, const char *to) { CALL(under(to), 'r', int, REAL(rename)(from, to)); }
int unlink(const char *path) { CALL(under(path), 'u', int, REAL(unlink)(path)); }

#define OPEN(name)                                                                      \
    int name(const char *path, int flags, ...) {                                        \
        va_list rest;                                                                   \
        va_start(rest, flags);                                                          \
        mode_t permissions = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                \
        va_end(rest);                                                                   \
        CALL((flags & O_CREAT) && under(path), 'o', int, REAL(name)(path, flags, permissions)); \
    }

OPEN(open)
OPEN(open64)
