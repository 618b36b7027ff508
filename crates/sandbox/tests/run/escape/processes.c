// Programs and other processes: how a program may begin, what it may do to its neighbours and its keepers.
#include "escape.h"
#include <linux/fs.h>
#include <spawn.h>

// lists its descriptors beyond the standard ones
static long descriptors(char **a) {
    char text[512] = "";
    for (int fd = 3; fd < 4096; fd++)
        if (fcntl(fd, F_GETFD) >= 0) snprintf(text + strlen(text), 16, "%d ", fd);
    return tell(*text ? text : "none");
}

static long wait_for(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
    _exit(0);
}

static char *again[] = {NULL, "say", "child", NULL};

// its own program again, by each way to start one; prints what the child finds open
static long birth_fork(char **a) {
    pid_t child = fork();
    if (child == 0) descriptors(a);
    return wait_for(child);
}

static long exec_descriptors(const char *program) {
    char *argv[] = {(char *)program, "descriptors", NULL};
    return execve(program, argv, environ);
}

static long birth_vfork(char **a) {
    const char *program = at("TOOLS", "/escape-static");
    char *argv[] = {(char *)program, "descriptors", NULL};
    pid_t child = vfork();
    if (child == 0) {
        execve(program, argv, environ);
        _exit(9);
    }
    return wait_for(child);
}

static long birth_spawn(char **a) {
    pid_t child;
    char *argv[] = {"escape", "descriptors", NULL};
    errno = posix_spawn(&child, at("TOOLS", "/escape"), NULL, NULL, argv, environ);
    return errno ? -1 : wait_for(child);
}

static void *thread_exec(void *unused) { exec_descriptors(at("TOOLS", "/escape")); return NULL; }

static long birth_thread(char **a) {
    pthread_t one;
    pthread_create(&one, NULL, thread_exec, NULL);
    pthread_join(one, NULL);
    return -1;
}

// a child that is its parent's sibling
static long birth_sibling(char **a) {
    long child = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) descriptors(a);
    if (child < 0) return -1;
    while (!kill(child, 0)) sched_yield();
    _exit(0);
}

static long from_memory(char **a) {
    int fd = memfd_create("copy", 0);
    if (fd < 0 || copy_program(at("TOOLS", "/escape-static"), fd)) return -1;
    again[0] = "from-memory";
    return fexecve(fd, again, environ);
}

// a program with no name: run, then gone
static long from_unlinked(char **a) {
    const char *path = at("BUILD", "/unlinked");
    int to = open(path, O_RDWR | O_CREAT, 0755), from;
    if (copy_program(at("TOOLS", "/escape-static"), to)) return -1;
    from = open(path, O_RDONLY);
    close(to);
    unlink(path);
    again[0] = "unlinked";
    return fexecve(from, again, environ);
}

// a program that may be run but not read, so that its keeper might not see into it
static long unreadable(char **a) {
    const char *path = at("BUILD", "/unreadable");
    int to = open(path, O_WRONLY | O_CREAT, 0700);
    if (copy_program(at("TOOLS", "/escape-static"), to)) return -1;
    close(to);
    chmod(path, 0111);
    again[0] = "unreadable";
    return execve(path, again, environ);
}

// a loader of its own, which the kernel opens and no system call does
static long own_loader(char **a) {
    const char *path = at("BUILD", "/loaded");
    int to = open(path, O_WRONLY | O_CREAT, 0755);
    if (copy_program(at("TOOLS", "/escape-loaded"), to)) return -1;
    close(to);
    chdir(place("BUILD"));
    int loader = open("loader", O_WRONLY | O_CREAT, 0755);
    if (copy_program(at("TOOLS", "/loader"), loader)) return -1;
    close(loader);
    again[0] = "loaded";
    return execve(path, again, environ);
}

static long rewrite_self(char **a) { return open("/proc/self/exe", O_RDWR); }

static long code(void) { return 1; }

static long write_own_code(char **a) {
    int fd = open("/proc/self/mem", O_RDWR);
    if (fd < 0) return -1;
    return pwrite(fd, "\xc3", 1, (off_t)(uintptr_t)code);
}

// how far into a process of the same sandbox: its memory
static long sibling(char **a) {
    pid_t child = fork();
    if (child == 0) for (;;) pause();
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", child, a[0]);
    char byte;
    int fd = open(path, O_RDONLY);
    long result = fd < 0 ? -1 : read(fd, &byte, 1);
    // an address with nothing mapped
    if (fd >= 0 && result < 0 && errno == EIO) result = 0;
    int saved = errno;
    kill(child, SIGKILL);
    errno = saved;
    return result;
}

// `process PID-OR-VARIABLE FILE`: a file of another process
static long process(char **a) {
    long pid = *a[0] >= '0' && *a[0] <= '9' ? atol(a[0]) : number(a[0]);
    char path[128], byte[16];
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, a[1]);
    if (!strcmp(a[1], "exe") || !strcmp(a[1], "fd/0") || !strcmp(a[1], "cwd") || !strcmp(a[1], "root"))
        return readlink(path, byte, sizeof byte);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return -1;
    long result = read(fd, byte, sizeof byte);
    return result < 0 && errno == EIO ? 0 : result;
}

// `signal PID-OR-VARIABLE NUMBER`
static long send_signal(char **a) {
    long pid = strchr("-0123456789", *a[0]) ? atol(a[0]) : number(a[0]);
    return kill(pid, atoi(a[1]));
}

// the process that keeps this one: at the weakest level its number is in sight
static long keeper(char **a) {
    char text[4096] = "";
    long pid = getppid();
    int generations = atoi(a[0]);
    for (int i = 0; i < generations && pid > 0; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%ld/status", pid);
        int fd = open(path, O_RDONLY);
        if (fd < 0) return -1;
        memset(text, 0, sizeof text);
        read(fd, text, sizeof text - 1);
        close(fd);
        char *line = strstr(text, "PPid:");
        pid = line ? atol(line + 5) : -1;
    }
    if (pid <= 0) return tell("out of sight");
    return kill(pid, atoi(a[1]));
}

// stops and starts itself and its child a hundred times
static long stop_storm(char **a) {
    pid_t child = fork();
    if (child == 0) for (;;) sched_yield();
    for (int i = 0; i < 100; i++) {
        kill(child, SIGSTOP);
        kill(child, SIGCONT);
    }
    kill(child, SIGKILL);
    int status;
    return waitpid(child, &status, 0);
}

static long daemon_left(char **a) {
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0) {
            for (int signal_number = 1; signal_number < 64; signal_number++) signal(signal_number, SIG_IGN);
            for (;;) pause();
        }
        _exit(0);
    }
    int status;
    return waitpid(child, &status, 0);
}

// a program of the base that would be root's
static long set_user_id(char **a) {
    char *argv[] = {"su", "--version", NULL};
    struct stat about;
    if (stat("/usr/bin/su", &about)) return tell("no such program");
    // it runs as this user: the mount and no_new_privs take the bit away
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        execve("/usr/bin/su", argv, environ);
        _exit(9);
    }
    char path[64], text[4096] = "";
    int status;
    waitpid(child, &status, 0);
    int fd = open("/proc/self/status", O_RDONLY);
    read(fd, text, sizeof text - 1);
    return strstr(text, "NoNewPrivs:\t1") ? tell("no new privileges") : tell("privileges");
}

// a kernel without Yama knows nothing of it
static long ptracer(char **a) { return prctl(PR_SET_PTRACER, -1L) && errno != EINVAL ? -1 : 0; }
static long subreaper(char **a) { return prctl(PR_SET_CHILD_SUBREAPER, 1); }

const struct attempt process_attempts[] = {
    {"descriptors", descriptors}, {"birth-fork", birth_fork}, {"birth-vfork", birth_vfork}, {"birth-spawn", birth_spawn},
    {"birth-thread", birth_thread}, {"birth-sibling", birth_sibling}, {"from-memory", from_memory},
    {"from-unlinked", from_unlinked}, {"unreadable", unreadable}, {"own-loader", own_loader}, {"rewrite-self", rewrite_self},
    {"write-own-code", write_own_code}, {"sibling", sibling}, {"process", process}, {"signal", send_signal},
    {"keeper", keeper}, {"stop-storm", stop_storm}, {"daemon", daemon_left}, {"set-user-id", set_user_id},
    {"ptracer", ptracer}, {"subreaper", subreaper},
    {0},
};
