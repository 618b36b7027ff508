// Programs whose records are hard to get right, and one that touches very many paths.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

// A child's child goes on when the child has ended, and opens a file as nobody's child.
static int double_fork(const char *path) {
    int line[2];
    if (pipe(line)) return 1;
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            char byte;
            close(line[1]);
            // Ends when the first process says that the middle one is gone.
            if (read(line[0], &byte, 1) != 1) _exit(1);
            _exit(open(path, O_RDONLY) < 0);
        }
        _exit(4);
    }
    close(line[0]);
    waitpid(child, NULL, 0);
    if (write(line[1], "x", 1) != 1) return 1;
    // Reparented to the sandbox's first process, it can be waited for by its end of the pipe only.
    signal(SIGPIPE, SIG_IGN);
    while (write(line[1], "x", 1) == 1) usleep(1000);
    return 0;
}

static int dies(int number) {
    pid_t child = fork();
    if (child == 0) {
        raise(number);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}

// Arguments and variables of 128 KiB each, with bytes that are no UTF-8.
static int large(const char *program) {
    size_t size = 128 << 10;
    char *argument = malloc(size), *variable = malloc(size);
    memset(argument, 'a', size - 1), memset(variable, 'v', size - 1);
    argument[0] = '\xff', argument[size - 1] = 0;
    memcpy(variable, "LARGE=", 6), variable[size - 1] = 0;
    // MAX_ARG_STRLEN is 128 KiB with its zero byte: just what fits.
    char *argv[] = {(char *)program, argument, "\xc3\x28", "", "last", NULL};
    char *variables[] = {variable, "ODD=\x80", "NONE", NULL};
    execve(program, argv, variables);
    return 1;
}

static int many(const char *how, long count) {
    char path[128];
    for (long i = 0; i < count; i++) {
        if (!strcmp(how, "repeated")) snprintf(path, sizeof path, "/tmp/repeated-%ld", i % 1000);
        else snprintf(path, sizeof path, "/tmp/project/src/module_%03ld/component_%06ld.h", i / 1000, i);
        if (!strcmp(how, "hashed")) {
            // As a compiler names what it makes: 64 bits that nothing foretells (splitmix64).
            unsigned long z = (i + 1) * 0x9e3779b97f4a7c15ul;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ul, z = (z ^ (z >> 27)) * 0x94d049bb133111ebul, z ^= z >> 31;
            snprintf(path, sizeof path, "/build/target/release/deps/unit-%016lx.o", z);
        }
        int flags = !strcmp(how, "missing") || !strcmp(how, "hashed") ? O_RDONLY : O_RDWR | O_CREAT;
        if (!strcmp(how, "made")) snprintf(path, sizeof path, "/tmp/component_%06ld.h", i), flags |= O_EXCL;
        int fd = open(path, flags, 0644);
        if (fd >= 0) close(fd);
        if (!strcmp(how, "made") && unlink(path)) return 1;
    }
    return 0;
}

int main(int count, char **argv) {
    const char *what = count > 1 ? argv[1] : "";
    if (!strcmp(what, "double-fork")) return double_fork(argv[2]);
    if (!strcmp(what, "dies")) return dies(atoi(argv[2]));
    if (!strcmp(what, "large")) return large(argv[2]);
    if (!strcmp(what, "many")) return many(argv[2], atol(argv[3]));
    return 2;
}
