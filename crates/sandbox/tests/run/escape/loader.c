// What the kernel starts in place of a program that names it as its loader: says so and ends, without a C library.
static long call(long number, long one, const void *two, long three) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(one), "S"(two), "d"(three) : "rcx", "r11", "memory");
    return result;
}

void _start(void) {
    call(1, 1, "own loader\n", 11);
    call(60, 0, 0, 0);
}
