// Prints what a process can see of the machine without any library's help: `leaks WHAT [ARGUMENT]`. Raw system calls, as Go makes them.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void bytes(const char *what, const unsigned char *data, int count) {
    printf("%s:", what);
    for (int i = 0; i < count; i++) printf(" %02x", data[i]);
    printf("\n");
}

static int addresses(void) {
    int local;
    bytes("AT_RANDOM", (unsigned char *)getauxval(AT_RANDOM), 16);
    printf("stack %p heap %p code %p vdso %lx\n", (void *)&local, sbrk(0), (void *)addresses, getauxval(AT_SYSINFO_EHDR));
    return 0;
}

static int machine(void) {
    struct utsname names;
    struct sysinfo info;
    syscall(SYS_uname, &names);
    printf("%s %s %s %s %s\n", names.sysname, names.nodename, names.release, names.version, names.machine);
    syscall(SYS_sysinfo, &info);
    printf("up %ld load %lu memory %lu free %lu processes %d\n", info.uptime, info.loads[0], info.totalram, info.freeram, info.procs);
    unsigned long mask[16] = {0};
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    printf("affinity %ld %lx\n", size, mask[0]);
    return 0;
}

static long long ns(const struct timespec *t) { return t->tv_sec * 1000000000LL + t->tv_nsec; }

// Each way to read the wall clock, by call and through the vDSO; they must agree to a second.
static int clocks(void) {
    static const int wall[] = {CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI};
    struct timespec t;
    struct timeval day;
    for (int i = 0; i < 3; i++) {
        syscall(SYS_clock_gettime, wall[i], &t);
        printf("call clock %d: %lld\n", wall[i], ns(&t));
        clock_gettime(wall[i], &t);
        printf("vdso clock %d: %lld\n", wall[i], ns(&t));
    }
    syscall(SYS_gettimeofday, &day, NULL);
    printf("call day %ld %ld\n", day.tv_sec, day.tv_usec);
    gettimeofday(&day, NULL);
    printf("vdso day %ld %ld\n", day.tv_sec, day.tv_usec);
    printf("call time %ld vdso time %ld\n", syscall(SYS_time, NULL), time(NULL));
    return 0;
}

// The monotonic clock runs, and no slower through the vDSO than a system call is.
static int monotonic(void) {
    struct timespec a, b, c;
    const int rounds = 20000;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 0; i < rounds; i++) clock_gettime(CLOCK_MONOTONIC, &b);
    long long fast = ns(&b) - ns(&a);
    for (int i = 0; i < rounds; i++) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &c);
    long long slow = ns(&c) - ns(&b);
    fprintf(stderr, "vdso %lld ns, call %lld ns\n", fast / rounds, slow / rounds);
    printf("%s %s\n", fast > 0 && slow > 0 ? "runs" : "stands", fast < slow ? "fast" : "slow");
    return 0;
}

static int randomness(size_t count) {
    unsigned char *data = malloc(count);
    size_t done = 0;
    while (done < count) {
        long got = syscall(SYS_getrandom, data + done, count - done, 0);
        if (got <= 0) return 9;
        done += got;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum = sum * 31 + data[i];
    printf("getrandom %zu: %016lx, flags 8: %ld\n", count, sum, syscall(SYS_getrandom, data, 1, 8));
    return 0;
}

struct entry { uint64_t inode; int64_t next; uint16_t length; unsigned char kind; char name[]; };

// The directory in pieces of `size` bytes, then again from the third entry on, then again from the start.
static int entries(const char *path, int size) {
    char buffer[65536];
    int64_t third = 0;
    int seen = 0, fd = open(path, O_RDONLY | O_DIRECTORY);
    for (int round = 0; round < 3; round++) {
        if (round == 1) lseek(fd, third, SEEK_SET);
        if (round == 2) lseek(fd, 0, SEEK_SET);
        long got;
        int count = 0;
        uint64_t sum = 0;
        while ((got = syscall(SYS_getdents64, fd, buffer, size)) > 0)
            for (long at = 0; at < got; at += ((struct entry *)(buffer + at))->length) {
                struct entry *entry = (struct entry *)(buffer + at);
                if (round == 0 && seen++ == 2) third = entry->next;
                for (char *c = entry->name; *c; c++) sum = sum * 31 + *c;
                count++;
            }
        printf("round %d: %d entries %016lx %ld\n", round, count, sum, got);
    }
    return 0;
}

static long long now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return ns(&t);
}

static long long real(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ns(&t);
}

// Waits for the wall clock in each way that a program may; every line must come to its end.
static int waits(void) {
    struct timespec t;
    const long long half = 500000000;
    long long begun = now(), really = real();
    while (now() < begun + 3000000000LL) {}
    printf("spun %lld s\n", (now() - begun) / 1000000000);
    begun = now();
    while (now() < begun + half) usleep(100000);
    printf("slept\n");
    begun = now();
    while (now() < begun + half) poll(NULL, 0, 100);
    printf("polled\n");
    begun = now();
    while (now() < begun + half) {
        struct timeval tenth = {0, 100000};
        select(0, NULL, NULL, NULL, &tenth);
    }
    printf("selected\n");
    long long until = now() + half;
    t = (struct timespec){until / 1000000000, until % 1000000000};
    int word = 0;
    really = real();
    long result = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &t, NULL, ~0);
    printf("futex %s, really %s, late %d, own time %s\n", result < 0 && errno == ETIMEDOUT ? "timed out" : "?",
           real() - really > half / 2 ? "waited" : "did not wait", now() < until, ns(&t) == until ? "kept" : "lost");
    until = now() + half;
    t = (struct timespec){until / 1000000000, until % 1000000000};
    really = real();
    int slept = clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &t, NULL);
    printf("nanosleep %d, really %s, early %d\n", slept, real() - really > half / 2 ? "waited" : "did not wait", now() < until);
    begun = now();
    if (fork() == 0) {
        usleep(1100000);
        _exit(0);
    }
    wait(NULL);
    printf("a child slept: %d s later\n", now() - begun > 1000000000LL);
    return 0;
}

static int times(const char *path) {
    struct stat about;
    struct statx wide;
    int fd = open(path, O_RDONLY);
    memset(&wide, 0, sizeof wide);
    syscall(SYS_stat, path, &about);
    printf("stat %ld.%09ld", about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
    syscall(SYS_fstat, fd, &about);
    printf(" fstat %ld.%09ld %ld.%09ld", about.st_ctim.tv_sec, about.st_ctim.tv_nsec, about.st_mtim.tv_sec, about.st_mtim.tv_nsec);
    syscall(SYS_statx, AT_FDCWD, path, 0, STATX_ALL, &wide);
    printf(" statx %lld.%09u born %lld\n", (long long)wide.stx_mtime.tv_sec, wide.stx_mtime.tv_nsec, (long long)wide.stx_btime.tv_sec);
    return 0;
}

int main(int count, char **argument) {
    const char *what = count > 1 ? argument[1] : "";
    if (!strcmp(what, "addresses")) return addresses();
    if (!strcmp(what, "machine")) return machine();
    if (!strcmp(what, "clocks")) return clocks();
    if (!strcmp(what, "monotonic")) return monotonic();
    if (!strcmp(what, "waits")) return waits();
    if (!strcmp(what, "random") && count > 2) return randomness(strtoul(argument[2], NULL, 10));
    if (!strcmp(what, "entries") && count > 3) return entries(argument[2], atoi(argument[3]));
    if (!strcmp(what, "times") && count > 2) return times(argument[2]);
    if (!strcmp(what, "vfork") && count > 3) {
        if (vfork() == 0) execv(argument[2], argument + 2);
        int status;
        wait(&status);
        return WEXITSTATUS(status);
    }
    return 99;
}
