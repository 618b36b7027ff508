// A program that tries things: `hostile WHAT [ARGUMENT]`. Prints `WHAT: ok` or `WHAT: ERRNO-NAME`.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int say(const char *what, long result) {
    if (result >= 0) printf("%s: ok\n", what);
    else printf("%s: %s\n", what, strerrorname_np(errno));
    fflush(stdout);
    return result < 0;
}

static void *spin(void *unused) {
    for (;;) sched_yield();
    return NULL;
}

static void *exec_now(void *program) {
    char *argv[] = {program, "from-thread", NULL};
    execve(program, argv, environ);
    perror("execve");
    exit(9);
}

// exec from a thread that is not the leader, with another one running
static int thread_exec(const char *program) {
    pthread_t one, two;
    pthread_create(&one, NULL, spin, NULL);
    pthread_create(&two, NULL, exec_now, (void *)program);
    pthread_join(two, NULL);
    return 9;
}

static void *open_many(void *path) {
    for (int i = 0; i < 200; i++) {
        int fd = open(path, O_RDONLY);
        if (fd >= 0) close(fd);
    }
    return NULL;
}

static int threads_open(const char *path) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, open_many, (void *)path);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    return 0;
}

static int vfork_exec(char **argv) {
    pid_t child = vfork();
    if (child == 0) {
        execve(argv[0], argv, environ);
        _exit(9);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static int raw_open(const char *path) {
    long fd;
    __asm__ volatile("syscall" : "=a"(fd) : "a"(2L), "D"(path), "S"(0L), "d"(0L) : "rcx", "r11", "memory");
    if (fd < 0) errno = -fd;
    return say("raw-open", fd < 0 ? -1 : fd);
}

// int 0x80: the 32-bit entry; getpid is 20 there. Dies by signal where it is killed.
static int entry_32(void) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
    return say("entry-32", result);
}

static int entry_x32(void) { return say("entry-x32", syscall(0x40000000L + SYS_getpid)); }

static int inet(const char *address, int port, int type, const char *how) {
    int fd = socket(AF_INET, type, 0);
    if (fd < 0) return say("socket", -1);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, address, &to.sin_addr);
    if (!strcmp(how, "connect")) return say("connect", connect(fd, (void *)&to, sizeof to));
    if (!strcmp(how, "sendto")) return say("sendto", sendto(fd, "x", 1, 0, (void *)&to, sizeof to));
    struct iovec piece = {"x", 1};
    struct mmsghdr message = {{&to, sizeof to, &piece, 1}};
    if (!strcmp(how, "sendmsg")) return say("sendmsg", sendmsg(fd, &message.msg_hdr, 0));
    return say("sendmmsg", sendmmsg(fd, &message, 1, 0));
}

static int inet6(const char *address, int port) {
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0) return say("socket", -1);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, address, &to.sin6_addr);
    return say("connect", connect(fd, (void *)&to, sizeof to));
}

// a server and a client on the loopback interface
static int loopback(void) {
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    if (bind(server, (void *)&at, sizeof at) || listen(server, 1)) return say("listen", -1);
    getsockname(server, (void *)&at, &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    return say("loopback", connect(client, (void *)&at, sizeof at));
}

static int abstract(const char *name) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) return say("abstract", -1);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
    return say("abstract", connect(fd, (void *)&to, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name)));
}

// a filter of our own that stops at getpid and at mount, and claims what it likes
static int own_filter(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {5, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) return say("own-filter", -1);
    say("traced-getppid", syscall(SYS_getppid));
    return say("traced-mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
}

// a filter whose listener would answer "continue" for calls that the sandbox stops
static int listener(void) {
    struct sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, code};
    return say("listener", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
}

static int raw_clone(const char *what, unsigned long flags) {
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
    return say(what, pid);
}

static int fexec(const char *path) {
    int from = open(path, O_RDONLY), to = memfd_create("copy", 0);
    char piece[65536];
    for (ssize_t n; (n = read(from, piece, sizeof piece)) > 0;) write(to, piece, n);
    char *argv[] = {"from-memory", "say", "memory", NULL};
    fexecve(to, argv, environ);
    return say("fexec", -1);
}

// two threads: one swaps the path between an allowed and another file while the other opens it
static volatile char swapped[64];
static void *swap(void *unused) {
    for (;;) {
        memcpy((char *)swapped, "/build/a\0\0\0\0\0", 13);
        memcpy((char *)swapped, "/build/sub/b\0", 13);
    }
    return NULL;
}

static int race(void) {
    pthread_t one;
    memcpy((char *)swapped, "/build/a", 9);
    pthread_create(&one, NULL, swap, NULL);
    char first[512] = "", piece[8];
    int alpha = 0, beta = 0;
    for (int i = 0; i < 500; i++) {
        int fd = open((char *)swapped, O_RDONLY);
        if (fd < 0) continue;
        if (read(fd, piece, 1) == 1) *piece == 'a' ? alpha++ : beta++;
        close(fd);
    }
    printf("race: alpha %d beta %d\n", alpha, beta);
    return 0;
}

static int daemonize(void) {
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            for (;;) pause();
        }
        _exit(0);
    }
    wait(NULL);
    printf("daemon: ok\n");
    return 0;
}

static int bomb(void) {
    for (;;) fork();
}

static int eat(void) {
    for (;;) {
        char *piece = malloc(1 << 20);
        if (piece) memset(piece, 1, 1 << 20);
    }
}

static int hold(void) {
    for (int i = 0;; i++) {
        if (open("/build/a", O_RDONLY) < 0) return say("hold", -1);
    }
}

// a new file name each time
static int litter(void) {
    char name[64];
    for (long i = 0;; i++) {
        snprintf(name, sizeof name, "/tmp/none-%ld", i);
        open(name, O_RDONLY);
    }
}

// how often each of many processes is started and ended by signals
static int churn(int count) {
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            if (fork() == 0) _exit(0);
            kill(getpid(), SIGKILL);
        }
        waitpid(child, NULL, 0);
    }
    printf("churn: ok\n");
    return 0;
}

static int stop_and_go(void) {
    pid_t child = fork();
    if (child == 0) {
        raise(SIGSTOP);
        _exit(7);
    }
    int status;
    waitpid(child, &status, WUNTRACED);
    if (!WIFSTOPPED(status)) return 1;
    kill(child, SIGCONT);
    waitpid(child, &status, 0);
    printf("stop-and-go: %d\n", WEXITSTATUS(status));
    return 0;
}

static int suite(void) {
    say("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0));
    say("process_vm_readv", syscall(SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
    say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    say("bpf", syscall(SYS_bpf, 0, 0, 0));
    say("userfaultfd", syscall(SYS_userfaultfd, 0));
    say("perf_event_open", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 8, 0));
    say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
    say("umount2", syscall(SYS_umount2, "/build", 2));
    say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 1));
    say("move_mount", syscall(SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/usr", 0));
    say("mount_setattr", syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, 0, 0));
    say("pivot_root", syscall(SYS_pivot_root, "/", "/"));
    say("chroot", chroot("/tmp"));
    say("setns", syscall(SYS_setns, 0, 0));
    say("unshare-user", syscall(SYS_unshare, CLONE_NEWUSER));
    say("unshare-net", syscall(SYS_unshare, CLONE_NEWNET));
    say("unshare-time", syscall(SYS_unshare, 0x80));
    raw_clone("clone-user", CLONE_NEWUSER);
    raw_clone("clone-net", CLONE_NEWNET);
    raw_clone("clone-untraced", 0x00800000);
    say("clone3", syscall(SYS_clone3, 0, 0));
    say("personality", personality(ADDR_NO_RANDOMIZE));
    int terminal = 0;
    char byte = 'x';
    say("tiocsti", ioctl(terminal, TIOCSTI, &byte));
    say("kexec_file_load", syscall(SYS_kexec_file_load, 0, 0, 0, 0, 0));
    say("init_module", syscall(SYS_init_module, 0, 0, ""));
    say("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
    say("clock_settime", syscall(SYS_clock_settime, 0, 0));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
    say("fanotify_init", syscall(SYS_fanotify_init, 0, 0));
    say("kcmp", syscall(SYS_kcmp, 1, 1, 0, 0, 0));
    say("pidfd_getfd", syscall(SYS_pidfd_getfd, 0, 0, 0));
    say("swapon", syscall(SYS_swapon, "/build/a", 0));
    say("not-dumpable", prctl(PR_SET_DUMPABLE, 0));
    say("unknown-call", syscall(480, 0));
    say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
    say("packet", socket(AF_PACKET, SOCK_RAW, 0));
    say("alg", socket(38, SOCK_SEQPACKET, 0));
    listener();
    say("setuid-root", setuid(0));
    for (int signal = 1; signal <= 64; signal++) kill(1, signal);
    say("kill-init", kill(1, SIGKILL));
    return 0;
}

// opens that should fail: printed one a line
static int try_open(int count, char **paths) {
    for (int i = 0; i < count; i++) {
        int flags = paths[i][0] == '+' ? O_WRONLY : paths[i][0] == '*' ? O_WRONLY | O_CREAT : O_RDONLY;
        const char *path = flags ? paths[i] + 1 : paths[i];
        int fd = open(path, flags, 0644);
        char byte;
        // some files of /proc refuse only when they are read
        long result = fd < 0 ? -1 : flags ? fd : read(fd, &byte, 1) < 0 ? -1 : fd;
        say(paths[i], result);
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
#define IS(name) !strcmp(what, name)
    if (IS("say")) return printf("said %s\n", argv[2]), 0;
    if (IS("thread-exec")) return thread_exec(argv[2]);
    if (IS("threads-open")) return threads_open(argv[2]);
    if (IS("vfork")) return vfork_exec(argv + 2);
    if (IS("raw-open")) return raw_open(argv[2]);
    if (IS("entry-32")) return entry_32();
    if (IS("entry-x32")) return entry_x32();
    if (IS("tcp")) return inet(argv[2], atoi(argv[3]), SOCK_STREAM, "connect");
    if (IS("udp")) return inet(argv[2], atoi(argv[3]), SOCK_DGRAM, argv[4]);
    if (IS("tcp6")) return inet6(argv[2], atoi(argv[3]));
    if (IS("loopback")) return loopback();
    if (IS("abstract")) return abstract(argv[2]);
    if (IS("own-filter")) return own_filter();
    if (IS("fexec")) return fexec(argv[0]);
    if (IS("race")) return race();
    if (IS("daemon")) return daemonize();
    if (IS("bomb")) return bomb();
    if (IS("eat")) return eat();
    if (IS("hold")) return hold();
    if (IS("litter")) return litter();
    if (IS("churn")) return churn(atoi(argv[2]));
    if (IS("stop-and-go")) return stop_and_go();
    if (IS("suite")) return suite();
    if (IS("open")) return try_open(argc - 2, argv + 2);
    if (IS("wait")) for (;;) pause();
    fprintf(stderr, "unknown: %s\n", what);
    return 2;
}
