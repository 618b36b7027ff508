// Files: what is pinned, what is outside, and names that lead elsewhere.
#include "escape.h"
#include <sys/xattr.h>
#include <sys/file.h>

static long write_at(char **a) { return write_file(at(a[0], a[1]), "x"); }
static long write_to(char **a) { return write_file(a[0], "x"); }

// `read PATH`: opens and reads one byte
static long read_from(char **a) {
    const char *path = *a[0] == '/' ? a[0] : place(a[0]);
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    char byte;
    return fd < 0 ? -1 : read(fd, &byte, 1);
}

static long link_input(char **a) { return link(at("TOOLS", "/escape"), at("BUILD", "/linked")); }
static long rename_input(char **a) { return rename(at("TOOLS", "/escape"), at("BUILD", "/moved")); }
static long rename_over(char **a) {
    write_file(at("BUILD", "/new"), "x");
    return rename(at("BUILD", "/new"), at("TOOLS", "/input"));
}
static long remove_input(char **a) { return unlink(at("TOOLS", "/input")); }
static long times_of_input(char **a) { return utimensat(AT_FDCWD, at("TOOLS", "/input"), NULL, 0); }
static long mode_of_input(char **a) { return chmod(at("TOOLS", "/input"), 0777); }
static long input_by_descriptor(char **a) {
    int fd = open(at("TOOLS", "/input"), O_RDONLY);
    return fd < 0 ? -1 : fchmod(fd, 0777);
}
static long map_input(char **a) {
    int fd = open(at("TOOLS", "/input"), O_RDWR);
    return fd < 0 ? -1 : mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0;
}
// writable from a read-only descriptor: through /proc
static long reopen_input(char **a) {
    int fd = open(at("TOOLS", "/input"), O_RDONLY);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_WRONLY);
}
static long lock_input(char **a) {
    int fd = open(at("TOOLS", "/input"), O_RDONLY);
    return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

static long attribute(char **a) {
    const char *path = at("BUILD", "/attributed");
    write_file(path, "x");
    return setxattr(path, a[0], "x", 1, 0);
}

static long capability(char **a) {
    const char *path = at("BUILD", "/capable");
    write_file(path, "x");
    // version 2: cap_sys_admin, effective
    static const unsigned char all[20] = {1, 0, 0, 2, 0, 0, 0x20, 0};
    return setxattr(path, "security.capability", all, sizeof all, 0);
}

static long acl(char **a) {
    const char *path = at("BUILD", "/listed");
    write_file(path, "x");
    // user::rw-, user:SELF:rwx, group::r--, mask::rwx, other::r--
    unsigned user = getuid();
    const unsigned char entries[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 7, 0, user, user >> 8, user >> 16, user >> 24,
        4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 4, 0, 255, 255, 255, 255};
    return setxattr(path, "system.posix_acl_access", entries, sizeof entries, 0);
}

static long set_user_id_bit(char **a) {
    const char *path = at("BUILD", "/set-user-id");
    int to = open(path, O_WRONLY | O_CREAT, 0755);
    copy_program(at("TOOLS", "/escape-static"), to);
    close(to);
    return chmod(path, 06755);
}

static long device(char **a) { return mknod(at("BUILD", "/device"), S_IFBLK | 0600, 8 << 8); }
static long whiteout(char **a) {
    const char *path = at("BUILD", "/whiteout");
    if (mknod(path, S_IFCHR | 0600, 0)) return -1;
    return open(path, O_RDONLY);
}

// a handle of a directory without opening it, made into one that reads
static long path_descriptor(char **a) {
    int fd = open(at("BUILD", "/sub/b"), O_PATH);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY);
}

// passed through a socket, then opened again by the receiver
static long passed_descriptor(char **a) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair)) return -1;
    if (fork() == 0) {
        int fd = open(at("BUILD", "/sub/b"), O_PATH);
        char control[CMSG_SPACE(sizeof fd)] = {0}, byte = 'x';
        struct iovec piece = {&byte, 1};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET, header->cmsg_type = SCM_RIGHTS, header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
        sendmsg(pair[1], &message, 0);
        _exit(0);
    }
    char control[CMSG_SPACE(sizeof(int))], byte;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    if (recvmsg(pair[0], &message, 0) < 0) return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY);
}

static long by_directory(char **a) {
    chdir(at("BUILD", "/sub"));
    return open("/proc/self/cwd/../a", O_RDONLY);
}

static long by_own_root(char **a) {
    char path[4096];
    snprintf(path, sizeof path, "/proc/self/root%s", at("BUILD", "/a"));
    return open(path, O_RDONLY);
}

// ten links, each to the next, the last to a file
static long link_farm(char **a) {
    chdir(place("BUILD"));
    symlink("sub/b", "farm-0");
    for (int i = 1; i < 10; i++) {
        char from[16], to[16];
        snprintf(from, sizeof from, "farm-%d", i - 1), snprintf(to, sizeof to, "farm-%d", i);
        symlink(from, to);
    }
    return open("farm-9", O_RDONLY);
}

static long dotted(char **a) { return open(at("BUILD", "/sub/../sub/./../sub/b"), O_RDONLY); }

// deeper than any path may be long
static long deep(char **a) {
    char name[251];
    memset(name, 'd', 250), name[250] = 0;
    chdir(place("BUILD"));
    for (int i = 0; i < 20; i++)
        if (mkdir(name, 0755) || chdir(name)) return -1;
    return open("file", O_WRONLY | O_CREAT, 0644);
}

static volatile char swapped[2048];
static char one[1024], other[1024];

// the path's last letter goes from one name to the other and back; only a whole path is ever seen
static void *swap(void *unused) {
    size_t last = strlen(one) - 1;
    for (;;) swapped[last] = one[last], swapped[last] = other[last];
    return NULL;
}

static void race(void) {
    snprintf(one, sizeof one, "%s/race-a", place("BUILD"));
    snprintf(other, sizeof other, "%s/race-b", place("BUILD"));
    strcpy((char *)swapped, one);
    pthread_t thread;
    pthread_create(&thread, NULL, swap, NULL);
}

// which of two files was opened, told by what it holds
static long race_open(char **a) {
    write_file(at("BUILD", "/race-a"), "a"), write_file(at("BUILD", "/race-b"), "b");
    race();
    int counts[2] = {0};
    for (int i = 0; i < 300; i++) {
        int fd = open((char *)swapped, O_RDONLY);
        char byte;
        if (fd >= 0 && read(fd, &byte, 1) == 1) counts[byte == 'b']++;
        close(fd);
    }
    char text[64];
    snprintf(text, sizeof text, "%d %d", counts[0], counts[1]);
    return tell(text);
}

// which of two names was removed, while the name changes
static long race_remove(char **a) {
    race();
    int counts[2] = {0};
    for (int i = 0; i < 300; i++) {
        write_file(one, "a"), write_file(other, "b");
        if (unlink((char *)swapped)) continue;
        counts[access(one, F_OK) == 0]++;
    }
    char text[64];
    snprintf(text, sizeof text, "%d %d", counts[0], counts[1]);
    return tell(text);
}

static void *swap_link(void *unused) {
    chdir(place("BUILD"));
    for (;;) {
        unlink("race-link"), symlink("sub/b", "race-link");
        unlink("race-link"), symlink("a", "race-link");
    }
    return NULL;
}

// a link that another thread turns: what was opened is what is told
static long race_link(char **a) {
    chdir(place("BUILD"));
    pthread_t thread;
    pthread_create(&thread, NULL, swap_link, NULL);
    int counts[2] = {0};
    for (int i = 0; i < 300; i++) {
        int fd = open("race-link", O_RDONLY);
        char byte;
        if (fd >= 0 && read(fd, &byte, 1) == 1) counts[byte == 'b']++;
        close(fd);
    }
    char text[64];
    snprintf(text, sizeof text, "%d %d", counts[0], counts[1]);
    return tell(text);
}

// another thread puts a harmless file in the place of the descriptor before anybody can ask what it was
static volatile int guessed, done, decoy;
static void *replace(void *unused) {
    while (!done) {
        int kept = dup(guessed);
        if (kept >= 0) {
            dup2(decoy, guessed);
            close(kept);
        }
    }
    return NULL;
}

static long race_descriptor(char **a) {
    decoy = open(at("BUILD", "/a"), O_RDONLY);
    guessed = decoy + 40;
    pthread_t thread;
    pthread_create(&thread, NULL, replace, NULL);
    for (int fd; (fd = dup(decoy)) >= 0 && fd < guessed - 1;) {}
    int opened = 0;
    for (int i = 0; i < 300; i++) {
        close(guessed);
        opened += open(at("BUILD", "/sub/b"), O_RDONLY) >= 0;
    }
    done = 1;
    pthread_join(thread, NULL);
    char text[64];
    snprintf(text, sizeof text, "1 %d", opened);
    return tell(text);
}

const struct attempt file_attempts[] = {
    {"write-at", write_at}, {"write", write_to}, {"read", read_from}, {"link-input", link_input},
    {"rename-input", rename_input}, {"rename-over", rename_over}, {"remove-input", remove_input},
    {"times-of-input", times_of_input}, {"mode-of-input", mode_of_input}, {"input-by-descriptor", input_by_descriptor},
    {"map-input", map_input}, {"reopen-input", reopen_input}, {"lock-input", lock_input}, {"attribute", attribute},
    {"capability", capability}, {"acl", acl}, {"set-user-id-bit", set_user_id_bit}, {"device", device},
    {"whiteout", whiteout}, {"path-descriptor", path_descriptor}, {"passed-descriptor", passed_descriptor},
    {"by-directory", by_directory}, {"by-own-root", by_own_root}, {"link-farm", link_farm}, {"dotted", dotted}, {"deep", deep},
    {"race-open", race_open}, {"race-remove", race_remove}, {"race-link", race_link}, {"race-descriptor", race_descriptor},
    {0},
};
