/* LD_PRELOAD: writes and flushes below a folder fail while a file says so.

   ADVERSARY_DISK names a file whose first byte is 0 (nothing), 1 (ENOSPC) or 2 (EIO);
   ADVERSARY_FOLDER the folder. Reading stays whole: what is lost is what was never written. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile const unsigned char *control;

__attribute__((constructor)) static void map_control(void) {
    const char *path = getenv("ADVERSARY_DISK");
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return;
    void *page = mmap(NULL, 1, PROT_READ, MAP_SHARED, descriptor, 0);
    if (page != MAP_FAILED) control = page;
    close(descriptor);
}

/* The error that a call on this descriptor has now; 0: none. */
static int planned_error(int descriptor) {
    if (!control || !*control) return 0;
    const char *folder = getenv("ADVERSARY_FOLDER");
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!folder || length <= 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    return *control == 1 ? ENOSPC : EIO;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name); \
    int error = planned_error(fd); \
    if (error) { errno = error; return -1; }

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t)
    return real(fd, bytes, count);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int)
    return real(fd, parts, count);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t)
    return real(fd, bytes, count, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t)
    return real(fd, bytes, count, offset);
}
int ftruncate64(int fd, off64_t length) {
    REAL(int, "ftruncate64", int, off64_t)
    return real(fd, length);
}
int fsync(int fd) {
    REAL(int, "fsync", int)
    /* A full disk shows when bytes are written, a broken one when they are flushed. */
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int)
    return real(fd);
}

/* libfaketime changes the deadline of a monotonic sleep although it leaves that clock alone: Python's
   time.sleep failed with EINVAL, always, and ended workers that waited for the queue. */
int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *rest) {
    if (clock == CLOCK_MONOTONIC)
        return syscall(SYS_clock_nanosleep, clock, flags, time, rest) ? errno : 0;
    static int (*real)(clockid_t, int, const struct timespec *, struct timespec *);
    if (!real)
        real = (int (*)(clockid_t, int, const struct timespec *, struct timespec *))dlsym(
            RTLD_NEXT, "clock_nanosleep");
    return real(clock, flags, time, rest);
}
