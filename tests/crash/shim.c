/* Watches what a process does to the files below one folder, and strikes at a chosen call.
 *
 * Preloaded into a Python process (LD_PRELOAD) it stands between the interpreter and the C library.
 * It does nothing until `crash_arm` is called, which the rig does in a freshly forked child. From
 * then on every call below is counted and written to a log, and at call number `at` the process is
 * killed, torn in the middle of a write, stopped, or told that the call has failed.
 *
 * Syncs are counted and logged but not carried out: a process that is killed loses nothing of what
 * the kernel has, so they would only make the tests slow. What a power cut may lose is worked out
 * from the log, see disk.py. That no call slips past is checked against strace, see trace.py.
 *
 * A process that the watched one forks, and that becomes no other program, is watched along with it:
 * their calls are counted in one row, and what ends or stops one of them ends or stops both.
 *
 * It can also set the system's clock wrong, from one reading on or for one reading, and let a long
 * wait on a pipe (a loop's, never a socket's) be over at once, with all clocks moved on by it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The same letters as in shim.py. */
enum strike { WATCH = 'w', KILL = 'k', KILL_CHILD = 'c', TEAR = 't', STOP = 's', FAIL = 'f', FAIL_ON = 'o' };

static int armed;
static char home[PATH_MAX];
static int journal;
static enum strike strike;
static long at, *counted; /* shared with what is forked from here */
static pid_t root;        /* the process that was armed */
#define calls (*counted)
static int error;
static char struck[256]; /* for FAIL_ON: " name name ", or "" for every name */

static char boot[64]; /* read in place of the kernel's file, or "" */

/* The machine has restarted since: its boot's id is what this file says. */
void crash_reboot(const char *path)
{
    snprintf(boot, sizeof boot, "%s", path);
}

void crash_arm(const char *folder, int log, int how, long number, int code, const char *names)
{
    snprintf(home, sizeof home, "%s", folder);
    snprintf(struck, sizeof struck, "%s", names);
    journal = log;
    strike = how;
    at = number;
    error = code;
    counted = mmap(NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counted == MAP_FAILED)
        abort();
    root = getpid();
    armed = 1;
}

static int stands_still(pid_t process)
{
    char name[64], line[512], *state;
    int handle;
    ssize_t length;

    snprintf(name, sizeof name, "/proc/%d/stat", (int)process);
    handle = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY, 0);
    length = handle < 0 ? 0 : syscall(SYS_read, handle, line, sizeof line - 1);
    syscall(SYS_close, handle);
    if (length <= 0)
        return 0;
    line[length] = '\0';
    state = strrchr(line, ')');
    return state != NULL && state[2] == 'T';
}

/* A child stands still for as long as the process it was forked from does; that may be killed. */
static void stand_still_with_root(void)
{
    struct timespec moment = {0, 1000000};
    int looks, seen = 0;

    syscall(SYS_kill, root, SIGSTOP);
    for (looks = 0; seen ? stands_still(root) : looks < 5000; looks++) {
        seen |= stands_still(root);
        syscall(SYS_nanosleep, &moment, NULL);
    }
}

static void end_here(int number)
{
    if (getpid() == root)
        syscall(SYS_kill, root, number);
    else if (number == SIGSTOP)
        stand_still_with_root();
    else {
        syscall(SYS_kill, root, number);
        syscall(SYS_kill, getpid(), number);
    }
}

/* Whether this call must fail. Ends or stops the process if it is the one. */
static int must_fail(const char *name)
{
    char wanted[64];

    calls++;
    snprintf(wanted, sizeof wanted, " %s ", name);
    if (strike == FAIL_ON && calls >= at && (!*struck || strstr(struck, wanted))) {
        errno = error;
        return 1;
    }
    if (calls != at)
        return 0;
    if (strike == STOP)
        end_here(SIGSTOP);
    else if (strike == KILL_CHILD && getpid() != root)
        syscall(SYS_kill, getpid(), SIGKILL);
    else if (strike == KILL || (strike == TEAR && strcmp(name, "write") != 0))
        end_here(SIGKILL);
    else if (strike == FAIL)
        errno = error;
    return strike == FAIL;
}

/* Writes one call to the log: a line of fields parted by tabs, then the data. */
static long note(const char *name, long result, long number, const char *path, const char *other,
                 const void *data, size_t length)
{
    int saved = errno;
    char line[2 * PATH_MAX + 128];
    struct iovec parts[2] = {{line, 0}, {(void *)data, length}};

    parts[0].iov_len = snprintf(line, sizeof line, "%ld\t%s\t%ld\t%ld\t%s\t%s\t%zu\n", calls, name,
                                result < 0 ? (long)-saved : result, number, path, other, length);
    if (syscall(SYS_writev, journal, parts, 2) < 0)
        abort();
    errno = saved;
    return result;
}

/* Leaves in `out` where a path lies below the home ("." for the home itself); 0 if it does not. */
static int strip(const char *path, char *out)
{
    size_t length = strlen(home);

    if (strncmp(path, home, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return 0;
    strcpy(out, path[length] == '\0' ? "." : path + length + 1);
    return 1;
}

static int below_handle(int handle, char *out)
{
    char link[64], path[PATH_MAX];
    ssize_t length;

    if (!armed)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = '\0';
    return strip(path, out);
}

static int below(int folder, const char *path, char *out)
{
    char base[PATH_MAX], whole[2 * PATH_MAX], link[64];
    ssize_t length;

    if (!armed || path == NULL)
        return 0;
    if (path[0] == '/')
        return strip(path, out);
    snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
    length = readlink(link, base, sizeof base - 1);
    if (length < 0)
        return 0;
    base[length] = '\0';
    snprintf(whole, sizeof whole, "%s/%s", base, path);
    return strlen(whole) < PATH_MAX && strip(whole, out);
}

/* -- Files are opened ------------------------------------------------------------------------- */

static const char *kind_of_open(int folder, const char *path, int flags)
{
    if (!(flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)))
        return "read";
    if ((flags & O_CREAT) && syscall(SYS_faccessat, folder, path, F_OK) != 0)
        return "create";
    return flags & O_TRUNC ? "truncate" : "open";
}

static int open_file(int folder, const char *path, int flags, mode_t mode)
{
    char place[PATH_MAX];
    const char *name;

    if (*boot && path != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot;
    if (!below(folder, path, place))
        return syscall(SYS_openat, folder, path, flags, mode);
    name = kind_of_open(folder, path, flags);
    if (must_fail(name))
        return note(name, -1, mode, place, "", "", 0);
    return note(name, syscall(SYS_openat, folder, path, flags, mode), mode, place, "", "", 0);
}

#define MODE_ARGUMENT                                                                              \
    va_list rest;                                                                                  \
    mode_t mode;                                                                                   \
    va_start(rest, flags);                                                                         \
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                               \
    va_end(rest)

int open(const char *path, int flags, ...) { MODE_ARGUMENT; return open_file(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_ARGUMENT; return open_file(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE_ARGUMENT; return open_file(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE_ARGUMENT; return open_file(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_file(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* -- Content ---------------------------------------------------------------------------------- */

static ssize_t write_at(int handle, const void *data, size_t length, off_t offset)
{
    if (offset < 0)
        return syscall(SYS_write, handle, data, length);
    return syscall(SYS_pwrite64, handle, data, length, offset);
}

static ssize_t write_file(int handle, const void *data, size_t length, off_t offset)
{
    char place[PATH_MAX];
    ssize_t done;

    if (!below_handle(handle, place))
        return write_at(handle, data, length, offset);
    if (must_fail("write"))
        return note("write", -1, 0, place, "", "", 0);
    if (strike == TEAR && calls == at) {
        write_at(handle, data, length / 2, offset);
        end_here(SIGKILL);
    }
    done = write_at(handle, data, length, offset);
    if (offset < 0)
        offset = lseek(handle, 0, SEEK_CUR) - done;
    return note("write", done, offset, place, "", data, done > 0 ? done : 0);
}

ssize_t write(int handle, const void *data, size_t length) { return write_file(handle, data, length, -1); }
ssize_t pwrite(int handle, const void *data, size_t length, off_t offset) { return write_file(handle, data, length, offset); }
ssize_t pwrite64(int handle, const void *data, size_t length, off_t offset) { return write_file(handle, data, length, offset); }

/* A copy within the kernel is a write of what it copies. */
ssize_t copy_file_range(int from, off64_t *here, int to, off64_t *there, size_t count, unsigned flags)
{
    char place[PATH_MAX];
    off64_t begin, offset;
    ssize_t done;
    void *data;

    if (!below_handle(to, place))
        return syscall(SYS_copy_file_range, from, here, to, there, count, flags);
    begin = here ? *here : lseek(from, 0, SEEK_CUR);
    offset = there ? *there : lseek(to, 0, SEEK_CUR);
    if (must_fail("write"))
        return note("write", -1, 0, place, "", "", 0);
    if (strike == TEAR && calls == at) {
        syscall(SYS_copy_file_range, from, here, to, there, count / 2, flags);
        end_here(SIGKILL);
    }
    done = syscall(SYS_copy_file_range, from, here, to, there, count, flags);
    data = done > 0 ? malloc(done) : NULL;
    if (data == NULL || syscall(SYS_pread64, from, data, done, begin) != done)
        return done == 0 ? 0 : note("write", done, offset, place, "", "", 0);
    note("write", done, offset, place, "", data, done);
    free(data);
    return done;
}

/* The calls below take what names them, and what carries them out. */
#define ON_HANDLE(name, handle, number, real)                                                      \
    char place[PATH_MAX];                                                                          \
    if (!below_handle(handle, place))                                                              \
        return real;                                                                               \
    if (must_fail(name))                                                                           \
        return note(name, -1, number, place, "", "", 0);                                           \
    return note(name, real, number, place, "", "", 0)

#define ON_PATH(name, folder, path, number, real)                                                  \
    char place[PATH_MAX];                                                                          \
    if (!below(folder, path, place))                                                               \
        return real;                                                                               \
    if (must_fail(name))                                                                           \
        return note(name, -1, number, place, "", "", 0);                                           \
    return note(name, real, number, place, "", "", 0)

/* The updater uses none of these on its files; disk.py refuses a log that holds one. */
ssize_t writev(int handle, const struct iovec *parts, int count) { ON_HANDLE("writev", handle, 0, syscall(SYS_writev, handle, parts, count)); }
ssize_t sendfile(int to, int from, off_t *offset, size_t count) { ON_HANDLE("sendfile", to, 0, syscall(SYS_sendfile, to, from, offset, count)); }
ssize_t sendfile64(int to, int from, off64_t *offset, size_t count) { ON_HANDLE("sendfile", to, 0, syscall(SYS_sendfile, to, from, offset, count)); }

int ftruncate(int handle, off_t size) { ON_HANDLE("ftruncate", handle, size, syscall(SYS_ftruncate, handle, size)); }
int ftruncate64(int handle, off64_t size) { ON_HANDLE("ftruncate", handle, size, syscall(SYS_ftruncate, handle, size)); }
int truncate(const char *path, off_t size) { ON_PATH("ftruncate", AT_FDCWD, path, size, syscall(SYS_truncate, path, size)); }
int truncate64(const char *path, off64_t size) { ON_PATH("ftruncate", AT_FDCWD, path, size, syscall(SYS_truncate, path, size)); }

/* -- Syncs: logged, not carried out ------------------------------------------------------------ */

int fsync(int handle) { ON_HANDLE("fsync", handle, 0, 0); }
int fdatasync(int handle) { ON_HANDLE("fdatasync", handle, 0, 0); }
int syncfs(int handle) { ON_HANDLE("syncfs", handle, 0, 0); }

/* -- Names ------------------------------------------------------------------------------------- */

static int rename_file(int from_folder, const char *from, int to_folder, const char *to, unsigned flags)
{
    char place[PATH_MAX], other[PATH_MAX];
    const char *name = flags ? "renameat2" : "rename"; /* exchanges are not modelled: disk.py refuses them */

    if (!below(from_folder, from, place) || !below(to_folder, to, other))
        return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (must_fail(name))
        return note(name, -1, 0, place, other, "", 0);
    return note(name, syscall(SYS_renameat2, from_folder, from, to_folder, to, flags), 0, place, other, "", 0);
}

int rename(const char *from, const char *to) { return rename_file(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return rename_file(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return rename_file(a, from, b, to, flags); }

int linkat(int a, const char *from, int b, const char *to, int flags) { ON_PATH("link", b, to, 0, syscall(SYS_linkat, a, from, b, to, flags)); }
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int folder, const char *path)
{
    char place[PATH_MAX];

    if (!below(folder, path, place))
        return syscall(SYS_symlinkat, target, folder, path);
    if (must_fail("symlink"))
        return note("symlink", -1, 0, place, target, "", 0);
    return note("symlink", syscall(SYS_symlinkat, target, folder, path), 0, place, target, "", 0);
}
int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

int mkdirat(int folder, const char *path, mode_t mode) { ON_PATH("mkdir", folder, path, mode, syscall(SYS_mkdirat, folder, path, mode)); }
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int unlinkat(int folder, const char *path, int flags) { ON_PATH(flags & AT_REMOVEDIR ? "rmdir" : "unlink", folder, path, 0, syscall(SYS_unlinkat, folder, path, flags)); }
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

/* -- Marks -------------------------------------------------------------------------------------- */

static int chmod_file(int folder, const char *path, mode_t mode) { ON_PATH("chmod", folder, path, mode, syscall(SYS_fchmodat, folder, path, mode)); }
int fchmodat(int folder, const char *path, mode_t mode, int flags) { (void)flags; return chmod_file(folder, path, mode); }
int chmod(const char *path, mode_t mode) { return chmod_file(AT_FDCWD, path, mode); }
int fchmod(int handle, mode_t mode) { ON_HANDLE("chmod", handle, mode, syscall(SYS_fchmod, handle, mode)); }
int utimensat(int folder, const char *path, const struct timespec times[2], int flags) { ON_PATH("utimens", folder, path, 0, syscall(SYS_utimensat, folder, path, times, flags)); }
int futimens(int handle, const struct timespec times[2]) { ON_HANDLE("utimens", handle, 0, syscall(SYS_utimensat, handle, NULL, times, 0)); }

/* -- The clock ---------------------------------------------------------------------------------- */

static long *readings; /* how often the system's clock was read; shared with the rig */
static long wrong_from, wrong_for, wrong_by_s;
static long slept_ms, end_after_ms; /* what was waited for and took no time; 0: waits are real */

/* From reading `from` on (and for `count` readings; 0: for good) the clock is wrong by so much. */
void crash_clock(long *counter, long from, long count, long by_s, long end_after_s)
{
    readings = counter;
    wrong_from = from;
    wrong_for = count;
    wrong_by_s = by_s;
    end_after_ms = end_after_s * 1000;
}

static long system_clock_is_wrong_by_s(void)
{
    long number;

    if (readings == NULL)
        return 0;
    number = ++*readings;
    if (!wrong_from || number < wrong_from || (wrong_for && number >= wrong_from + wrong_for))
        return 0;
    return wrong_by_s;
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, which, now);

    if (failed)
        return failed;
    if (which != CLOCK_PROCESS_CPUTIME_ID && which != CLOCK_THREAD_CPUTIME_ID)
        now->tv_sec += slept_ms / 1000;
    if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)
        now->tv_sec += system_clock_is_wrong_by_s();
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* A sleep is real, and until a moment by the clock that it was read from. */
int clock_nanosleep(clockid_t which, int flags, const struct timespec *until, struct timespec *left)
{
    struct timespec real = *until;

    if (flags & TIMER_ABSTIME)
        real.tv_sec -= slept_ms / 1000;
    return syscall(SYS_clock_nanosleep, which, flags, &real, left) ? errno : 0;
}

static int is_pipe(int handle)
{
    struct stat found;

    return fstat(handle, &found) == 0 && S_ISFIFO(found.st_mode);
}

int poll(struct pollfd files[], nfds_t count, int timeout_ms)
{
    int ready = syscall(SYS_poll, files, count, end_after_ms ? 0 : timeout_ms);

    if (!end_after_ms || ready != 0 || timeout_ms == 0)
        return ready;
    if (timeout_ms < 1000 || count != 1 || !is_pipe(files[0].fd))
        return syscall(SYS_poll, files, count, timeout_ms);
    slept_ms += timeout_ms;
    if (slept_ms >= end_after_ms)
        end_here(SIGTERM);
    return 0;
}
