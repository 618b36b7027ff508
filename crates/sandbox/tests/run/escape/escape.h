// Attempts to get out of the sandbox: `escape NAME [ARGUMENT …]` makes one and prints one word of what came of it.
//
// Each runs in a child, so that one which is killed is told as well. Places come as variables: BUILD and HOME (writable), TOOLS (pinned);
// things outside as VICTIM (a process), PORT (a listener on the host's loopback), ABSTRACT (a socket's name), SECRET (a file).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// An attempt returns what a system call does: a negative number with errno, or what worked. It may also print a word and exit.
struct attempt {
    const char *name;
    long (*run)(char **arguments);
};

extern const struct attempt kernel_attempts[], file_attempts[], process_attempts[], outside_attempts[];

static inline const char *place(const char *variable) {
    const char *value = getenv(variable);
    return value ? value : "/nowhere";
}

// `at("TOOLS", "/x")` is the path of x among the pinned tools; the last eight stay valid
static inline const char *at(const char *variable, const char *rest) {
    static char paths[8][4096];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s%s", place(variable), rest);
    return path;
}

static inline long number(const char *variable) { return atol(place(variable)); }

static inline long tell(const char *word) {
    printf("%s\n", word);
    fflush(stdout);
    _exit(0);
}

static inline long write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return -1;
    long written = write(fd, text, strlen(text));
    close(fd);
    return written;
}

static inline long copy_program(const char *from, int to) {
    int source = open(from, O_RDONLY);
    char piece[65536];
    for (ssize_t count; (count = read(source, piece, sizeof piece)) > 0;)
        if (write(to, piece, count) != count) return -1;
    return close(source);
}
