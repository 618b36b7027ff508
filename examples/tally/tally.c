/* tally: counts lines, words and bytes of its input, and how often each letter stands in it. */

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

struct tally {
    unsigned long lines, words, bytes;
    unsigned long letters[26];
};

static void count(struct tally *tally, FILE *input) {
    int c, inside = 0;
    while ((c = getc(input)) != EOF) {
        tally->bytes++;
        tally->lines += c == '\n';
        if (isspace(c)) {
            inside = 0;
        } else if (!inside) {
            inside = 1;
            tally->words++;
        }
        if (c < 128 && isalpha(c))
            tally->letters[tolower(c) - 'a']++;
    }
}

int main(int argc, char **argv) {
    struct tally tally = {0};
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "--version"))) {
        printf("tally %s: counts lines, words, bytes and letters of its standard input\n", VERSION);
        return 0;
    }
    if (argc != 1) {
        fprintf(stderr, "tally: unknown argument `%s`; try --help\n", argv[1]);
        return 2;
    }
    count(&tally, stdin);
    printf("%lu lines, %lu words, %lu bytes\n", tally.lines, tally.words, tally.bytes);
    for (int letter = 0; letter < 26; letter++)
        if (tally.letters[letter])
            printf("%c %lu\n", 'a' + letter, tally.letters[letter]);
    return ferror(stdin) || fflush(stdout) ? 1 : 0;
}
