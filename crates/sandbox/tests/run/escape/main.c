#include "escape.h"

static long run(const char *name, char **arguments) {
    const struct attempt *tables[] = {kernel_attempts, file_attempts, process_attempts, outside_attempts};
    for (int i = 0; i < 4; i++)
        for (const struct attempt *one = tables[i]; one->name; one++)
            if (!strcmp(one->name, name)) return one->run(arguments);
    return tell("no such attempt");
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    // what a program started by an attempt says
    if (!strcmp(argv[1], "say")) return printf("%s\n", argv[2]), 0;
    pid_t child = fork();
    if (child == 0) {
        long result = run(argv[1], argv + 2);
        if (result < 0) printf("%s\n", strerrorname_np(errno));
        else printf("ok\n");
        fflush(stdout);
        _exit(0);
    }
    int status;
    // its siblings, too, are reaped here
    for (pid_t ended; (ended = waitpid(-1, &status, 0)) != child;)
        if (ended < 0 && errno != EINTR) return 1;
    if (WIFSIGNALED(status)) printf("SIG%s%s\n", sigabbrev_np(WTERMSIG(status)), WCOREDUMP(status) ? " and a core" : "");
    return 0;
}
