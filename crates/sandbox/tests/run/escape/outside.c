// What lies outside: networks, services of the host, memory that processes share.
#include "escape.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

static long open_socket(char **a) { return socket(strtol(a[0], NULL, 0), strtol(a[1], NULL, 0), a[2] ? strtol(a[2], NULL, 0) : 0); }

// `connect ADDRESS PORT-OR-VARIABLE`
static long connect_to(char **a) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    long port = *a[1] >= '0' && *a[1] <= '9' ? atol(a[1]) : number(a[1]);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, a[0], &to.sin_addr);
    return connect(fd, (void *)&to, sizeof to);
}

static long name_service(char **a) {
    struct addrinfo *found, hints = {.ai_socktype = SOCK_STREAM};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (fd < 0) return -1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return sendto(fd, "x", 1, 0, (void *)&to, sizeof to);
}

static long abstract(char **a) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = place("ABSTRACT");
    strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
    return connect(fd, (void *)&to, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}

// a service of the host whose socket lies in a pinned tree
static long named_socket(char **a) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    strncpy(to.sun_path, at("TOOLS", "/service"), sizeof to.sun_path - 1);
    return connect(fd, (void *)&to, sizeof to);
}

// a socket of its own in the workspace
static long own_socket(char **a) {
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (server < 0) return -1;
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    chdir(place("BUILD"));
    strcpy(to.sun_path, "own.socket");
    if (bind(server, (void *)&to, sizeof to) || listen(server, 1)) return -1;
    return connect(client, (void *)&to, sizeof to);
}

// a queue, a pipe: the other end belongs to the host
static long named_pipe(char **a) { return open(at("TOOLS", "/pipe"), O_WRONLY | O_NONBLOCK); }

static long shared_memory(char **a) { return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600); }
static long semaphores(char **a) { return semget(IPC_PRIVATE, 1, IPC_CREAT | 0600); }
static long messages(char **a) { return msgget(IPC_PRIVATE, IPC_CREAT | 0600); }
// one that a process outside made, found by its key
static long shared_memory_outside(char **a) { return shmget(number("KEY"), 0, 0); }
static long queue(char **a) { return mq_open("/escape", O_CREAT | O_RDWR, 0600, NULL); }

const struct attempt outside_attempts[] = {
    {"socket", open_socket}, {"connect", connect_to}, {"name-service", name_service}, {"abstract", abstract},
    {"named-socket", named_socket}, {"own-socket", own_socket}, {"named-pipe", named_pipe}, {"shared-memory", shared_memory},
    {"semaphores", semaphores}, {"messages", messages}, {"shared-memory-outside", shared_memory_outside}, {"queue", queue},
    {0},
};
