// The kernel's own doors: system calls that no build needs, and other ways to enter the kernel.
#include "escape.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/ptrace.h>

// `call NUMBER [ARGUMENT …]`: any system call, numbers in any base
static long call(char **a) {
    long numbers[7] = {0};
    for (int i = 0; i < 7 && a[i]; i++) numbers[i] = strtol(a[i], NULL, 0);
    // a pointer to zeros where a pointer must be good
    static char zeros[4096];
    for (int i = 1; i < 7; i++)
        if (a[i] && !strcmp(a[i], "zeros")) numbers[i] = (long)zeros;
        else if (!a[i]) break;
    long result = syscall(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    return result;
}

static long raw_clone(char **a) {
    long pid = syscall(SYS_clone, strtol(a[0], NULL, 0) | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    return pid;
}

static long entry_32(char **a) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    return result;
}

// a far jump into the 32-bit segment, and the 32-bit entry there
static long segment_32(char **a) {
    unsigned char *code = mmap((void *)0x10000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_32BIT, -1, 0);
    if (code == MAP_FAILED) return -1;
    static const unsigned char body[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4}; // mov eax,20; int 0x80; hlt
    memcpy(code, body, sizeof body);
    struct { uint32_t to; uint16_t segment; } __attribute__((packed)) far = {0x10000000, 0x23};
    __asm__ volatile("ljmp *%0" : : "m"(far) : "memory");
    return 0;
}

static long entry_x32(char **a) { return syscall(0x40000000L + SYS_getpid); }

// the page at a fixed address that old programs call for the time
static long vsyscall(char **a) {
    time_t (*now)(time_t *) = (void *)0xffffffffff600400L;
    return now(NULL) > 0 ? 0 : -1;
}

static long own_filter(struct sock_filter *code, int count, int flags) {
    struct sock_fprog program = {count, code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static long listener(char **a) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)};
    return own_filter(code, 1, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

// a filter of its own that claims a stop at a call that the sandbox refuses
static long filter_traces(char **a) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 7),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (own_filter(code, 4, 0)) return -1;
    return syscall(SYS_mount, "none", place("HOME"), "tmpfs", 0, 0);
}

// a filter of its own that answers an open itself: then there was none
static long filter_answers(char **a) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOTTY),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (own_filter(code, 4, 0)) return -1;
    return open(at("BUILD", "/a"), O_RDONLY);
}

static long own_landlock(char **a) {
    uint64_t handled = 1 << 2;
    int rules = syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (rules < 0) return -1;
    if (syscall(SYS_landlock_restrict_self, rules, 0)) return -1;
    // the fence of its own is there, the sandbox's record goes on
    return open(at("BUILD", "/a"), O_RDONLY) < 0 ? 0 : tell("no fence");
}

static long io_uring_open(char **a) {
    char parameters[120] = {0};
    return syscall(SYS_io_uring_setup, 8, parameters);
}

static long terminal(char **a) {
    char byte[2] = {'x', 0};
    return ioctl(0, strtol(a[0], NULL, 0), byte);
}

// `limit RESOURCE`: raise a hard limit
static long limit(char **a) {
    struct rlimit limit;
    int which = atoi(a[0]);
    if (getrlimit(which, &limit)) return -1;
    if (limit.rlim_max == RLIM_INFINITY) return tell("unlimited");
    limit.rlim_cur = limit.rlim_max = limit.rlim_max + 1;
    return setrlimit(which, &limit);
}

static long core_limit(char **a) {
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    char text[64];
    snprintf(text, sizeof text, "%ld %ld", (long)limit.rlim_cur, (long)limit.rlim_max);
    return tell(text);
}

static long crash(char **a) { return raise(SIGSEGV); }

static long affinity(char **a) {
    cpu_set_t all;
    memset(&all, 0xff, sizeof all);
    return sched_setaffinity(0, sizeof all, &all);
}

static long lower_nice(char **a) { return setpriority(PRIO_PROCESS, 0, -5); }
static long raise_nice(char **a) { return setpriority(PRIO_PROCESS, 0, 19); }

static long real_time(char **a) {
    struct sched_param one = {1};
    return sched_setscheduler(0, SCHED_FIFO, &one);
}

static long set_mm_exe(char **a) {
    int fd = open(at("BUILD", "/a"), O_RDONLY);
    return prctl(PR_SET_MM, 13, fd, 0, 0);
}

static long become_root(char **a) {
    // as root at the weakest level it is root already, so another user is asked for
    return getuid() ? setuid(0) : setuid(1);
}

const struct attempt kernel_attempts[] = {
    {"call", call}, {"clone", raw_clone}, {"int-80", entry_32}, {"segment-32", segment_32}, {"x32", entry_x32},
    {"vsyscall", vsyscall}, {"listener", listener}, {"filter-traces", filter_traces}, {"filter-answers", filter_answers},
    {"own-landlock", own_landlock}, {"io-uring", io_uring_open}, {"terminal", terminal}, {"limit", limit},
    {"core-limit", core_limit}, {"crash", crash}, {"affinity", affinity}, {"lower-nice", lower_nice},
    {"raise-nice", raise_nice}, {"real-time", real_time}, {"set-mm-exe", set_mm_exe}, {"become-root", become_root},
    {0},
};
